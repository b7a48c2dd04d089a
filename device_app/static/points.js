// Says beside each choice what is known of it. Without this the same numbers are in the table.
"use strict";
for (const line of document.querySelectorAll("[data-says-of]")) {
  const choice = document.getElementById(line.dataset.saysOf);
  const say = () => { line.textContent = choice.selectedOptions[0].dataset.says; };
  choice.addEventListener("change", say);
  say();
}
