// Keeps the status line of a page that may stay open for days truthful.
"use strict";
(() => {
  const EVERY_MS = 4000;
  const banner = document.getElementById("banner");
  const lost = document.getElementById("lost");
  let failures = 0;

  const look = async () => {
    try {
      const answer = await fetch(banner.dataset.address, { cache: "no-store", signal: AbortSignal.timeout(8000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      failures = 0;
      lost.hidden = true;
      banner.hidden = false;
      if (text.trim() !== banner.dataset.shown) {
        banner.dataset.shown = text.trim();
        banner.innerHTML = text;
      }
    } catch {
      failures += 1;
      if (failures >= 2) {
        lost.hidden = false;
        banner.hidden = true;
      }
    }
    setTimeout(look, EVERY_MS);
  };
  banner.dataset.shown = banner.innerHTML.trim();
  setTimeout(look, EVERY_MS);
})();
