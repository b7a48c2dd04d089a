// The picture on the whole screen; the line that says what a result is stays below it. Where a browser gives
// no full screen (phones of one maker), it fills the window instead.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const page = document.documentElement;

  const mark = (on) => {
    document.body.classList.toggle("whole-screen", on);
    for (const button of document.querySelectorAll("[data-switch=whole]")) button.setAttribute("aria-pressed", String(on));
  };

  ulna.isWhole = () => document.body.classList.contains("whole-screen");
  // viewer: the one that shall be seen of those on the page.
  ulna.setWhole = (on, viewer) => {
    mark(on);
    requestAnimationFrame(() => viewer?.root.scrollIntoView({ block: on ? "start" : "nearest" }));
    if (on) page.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  };
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement) mark(false); // left by the browser's own key
  });
})();
