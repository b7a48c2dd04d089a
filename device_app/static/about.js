// The figure beside the words for body parts: touching it chooses the word, choosing the word marks it.
"use strict";
(() => {
  const mark = (body) => {
    const chosen = body.querySelector("input[name=body_part]:checked")?.value;
    for (const limb of body.querySelectorAll("[data-part]")) limb.classList.toggle("limb-chosen", limb.dataset.part === chosen);
  };

  // A gloved finger is wider than a wrist: the nearest part counts.
  const nearest = (figure, x, y) => {
    const beyond = (at, from, to) => Math.max(from - at, 0, at - to);
    const far = (limb) => {
      const box = limb.getBoundingClientRect();
      return Math.hypot(beyond(x, box.left, box.right), beyond(y, box.top, box.bottom));
    };
    return [...figure.querySelectorAll("[data-part]")].sort((one, other) => far(one) - far(other))[0];
  };

  // On the document, because a page that renews itself brings new figures.
  document.addEventListener("click", (event) => {
    const figure = event.target.closest(".body-figure");
    if (!figure) return;
    const body = figure.closest(".body");
    const { part } = nearest(figure, event.clientX, event.clientY).dataset;
    body.querySelector(`input[value="${part}"]`).checked = true;
    mark(body);
  });
  document.addEventListener("change", (event) => {
    const body = event.target.closest(".body");
    if (body) mark(body);
  });
})();
