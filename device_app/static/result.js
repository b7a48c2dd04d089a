// Switches of the viewer, and looking again while the result is awaited.
"use strict";
(() => {
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
  for (const button of document.querySelectorAll("[data-toggle]")) {
    const viewer = button.closest(".viewer");
    const name = button.dataset.toggle;
    const show = (on) => {
      button.setAttribute("aria-pressed", String(on));
      viewer.classList.toggle(`show-${name}`, on);
      viewer.classList.toggle(`hide-${name}`, !on);
    };
    show(button.getAttribute("aria-pressed") === "true");
    button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
  }

  const waiting = [...document.querySelectorAll("[data-state]")];
  if (waiting.length === 0) return;
  const ended = document.querySelectorAll("article").length - waiting.length;
  const look = async () => {
    let pause = 1000;
    try {
      const answer = await fetch(waiting[0].dataset.state, {
        cache: "no-store",
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(8000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const said = await answer.json();
      if (said.ended !== ended || String(said.held) !== waiting[0].dataset.held) {
        location.reload();
        return;
      }
      const place = waiting[0].querySelector(".place");
      if (place && place.textContent !== said.place) place.textContent = said.place;
    } catch {
      pause = 4000;
    }
    setTimeout(look, pause);
  };
  setTimeout(look, 600);
})();
