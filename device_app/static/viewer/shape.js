// A shape drawn over the picture.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const NAMESPACE = "http://www.w3.org/2000/svg";

  ulna.shape = (parent, name, attributes) => {
    const made = document.createElementNS(NAMESPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return parent.appendChild(made);
  };
})();
