// Printing, and saying that a PDF is on its way. Without this script both go by the browser's own means.
"use strict";
(() => {
  const PAUSE_MS = 6000;
  const print = document.querySelector("[data-print]");
  const pdf = document.querySelector("[data-pdf]");
  const making = document.querySelector("[data-making]");
  print.hidden = false;
  document.querySelector("[data-without]").hidden = true;
  print.addEventListener("click", () => window.print());
  let until = 0;
  pdf.addEventListener("click", (event) => {
    if (Date.now() < until) {
      event.preventDefault(); // a second touch makes no second PDF
      return;
    }
    until = Date.now() + PAUSE_MS;
    making.hidden = false;
    setTimeout(() => { making.hidden = true; }, PAUSE_MS);
  });
})();
