// A button that is touched twice sends its form once. The box stores nothing twice by itself: this keeps the page
// that answers the first touch from being thrown away for the second.
"use strict";
(() => {
  const ON_ITS_WAY_MS = 30000; // whoever touches again after that has got no answer
  const sending = ((window.ulna ??= {}).sending = new Set());

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || "stays" in form.dataset) return; // a file leaves the page as it is
    if (sending.has(form)) return event.preventDefault();
    sending.add(form);
    setTimeout(() => sending.delete(form), ON_ITS_WAY_MS);
    // Another script asks first whether she wants to leave: she may stay, and send it later.
    window.addEventListener("beforeunload", (leaving) => leaving.defaultPrevented && sending.clear(), { once: true });
  });
  window.addEventListener("pageshow", () => sending.clear()); // she has come back to it
})();
