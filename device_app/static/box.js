// Keeps the status line of a page that may stay open for days truthful.
"use strict";
(() => {
  const EVERY_MS = 4000;
  const banner = document.getElementById("banner");
  const lost = document.getElementById("lost");
  const stopped = document.getElementById("stopped"); // it has come up again, but only to say what is wrong
  let failures = 0;

  // What a page asks by itself keeps nobody signed in.
  const asking = () => ({
    cache: "no-store",
    headers: { "X-Ulna-Watching": "1" },
    signal: AbortSignal.timeout(8000),
  });

  // Only what is marked, where it stands: a list that moves by itself would move under a finger.
  const renew = async () => {
    const marked = [...document.querySelectorAll("[data-renew]")];
    if (marked.length === 0) return;
    const answer = await fetch(location.href, asking());
    if (!answer.ok || answer.redirected) return location.reload(); // what stands here no longer holds: show what the box says
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of marked) {
      const now = fresh.getElementById(old.id);
      if (!now || now.outerHTML === old.outerHTML) continue;
      const focused = old.contains(document.activeElement);
      old.replaceWith(now);
      if (focused) now.querySelector("a")?.focus();
    }
  };

  const look = async () => {
    try {
      const answer = await fetch(banner.dataset.address, asking());
      stopped.hidden = !answer.headers.has("X-Ulna-Safe-Mode");
      if (!stopped.hidden) lost.hidden = banner.hidden = true;
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      failures = 0;
      lost.hidden = true;
      banner.hidden = false;
      if (text.trim() !== banner.dataset.shown) {
        banner.dataset.shown = text.trim();
        banner.innerHTML = text;
      }
      // Signed out meanwhile, by time or elsewhere: nothing of a patient stays on the screen.
      const who = banner.querySelector("[data-person]")?.dataset.person ?? "";
      if (who !== document.body.dataset.person) {
        (window.ulna ??= {}).leaving = true; // nobody who is asked by the page itself could answer
        return location.assign(document.body.dataset.first);
      }
      await renew();
    } catch {
      failures += 1;
      if (failures >= 2 && stopped.hidden) lost.hidden = !(banner.hidden = true);
    }
    setTimeout(look, EVERY_MS);
  };
  banner.dataset.shown = banner.innerHTML.trim();
  setTimeout(look, EVERY_MS);
})();
