// Two pictures side by side look at the same part of each, as long as the switch between them says so.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});

  // The same share of the way across and down, and as many times the whole picture.
  const alike = (from, to) => ({
    ...to.view,
    zoom: from.view.zoom,
    x: (from.view.x / from.place.width) * to.place.width,
    y: (from.view.y / from.place.height) * to.place.height,
  });

  ulna.link = (viewers, button) => {
    let on = true;
    button.hidden = false;
    button.addEventListener("click", () => {
      on = !on;
      button.setAttribute("aria-pressed", String(on));
      if (on) follow(viewers[0]);
    });
    const follow = (from) => {
      if (!on) return;
      for (const viewer of viewers) if (viewer !== from) viewer.look(alike(from, viewer), true);
    };
    for (const viewer of viewers) viewer.watchers.push(follow);
  };
})();
