"use strict";
(() => {
  const leaves = [...document.querySelectorAll(".leaf")];
  const links = [...document.querySelectorAll(".jump a")];
  const form = document.querySelector(".filters");
  const pager = document.querySelector(".pager");
  const jump = document.querySelector(".jump");
  const previous = document.getElementById("previous");
  const next = document.getElementById("next");
  const place = document.getElementById("place");
  const nothing = document.getElementById("nothing");
  const hint = document.getElementById("hint");
  const SWIPE_PX = 60;
  let kept = leaves;
  let current = leaves[0];

  const passes = (leaf) =>
    (!form.harmful.checked || leaf.dataset.harmful === "yes") &&
    (form.engine.value === "" || leaf.dataset.engines.split("|").includes(form.engine.value)) &&
    (form.part.value === "*" || leaf.dataset.part === form.part.value);

  function show() {
    leaves.forEach((leaf) => { leaf.hidden = leaf !== current; });
    links.forEach((link, index) => {
      if (leaves[index] === current) {
        link.setAttribute("aria-current", "true");
        if (jump.open) reveal(link);
      } else {
        link.removeAttribute("aria-current");
      }
    });
    const at = kept.indexOf(current);
    previous.disabled = at <= 0;
    next.disabled = at < 0 || at === kept.length - 1;
    place.textContent = kept.length ? `${at + 1} of ${kept.length}` : "none";
    nothing.hidden = kept.length > 0;
  }

  // Only the list scrolls, never the page.
  function reveal(link) {
    const list = link.closest("ol");
    const top = link.offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + link.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - list.clientHeight / 3;
    }
  }

  function go(leaf) {
    if (!leaf || leaf === current) return;
    const focused = document.activeElement;
    const inside = current.contains(focused);
    current = leaf;
    history.replaceState(null, "", `#${leaf.id}`);
    show();
    // What has just been hidden or disabled loses the focus: what took its place gets it.
    if (inside) leaf.focus({ preventScroll: true });
    if (focused === next && next.disabled) previous.focus();
    if (focused === previous && previous.disabled) next.focus();
    // A case begins with its name and its pictures, however far down the last one was read.
    if (leaf.getBoundingClientRect().top < 0) leaf.scrollIntoView({ behavior: "instant" });
  }

  const step = (by) => go(kept[kept.indexOf(current) + by]);

  function filter() {
    kept = leaves.filter(passes);
    leaves.forEach((leaf, index) => {
      leaf.classList.toggle("out", !kept.includes(leaf));
      links[index].parentElement.hidden = !kept.includes(leaf);
    });
    if (!kept.includes(current)) current = kept[0];
    show();
  }

  function follow() {
    const named = leaves.find((leaf) => `#${leaf.id}` === location.hash);
    if (!named) return;
    if (!kept.includes(named)) {
      form.reset();
      filter();
    }
    current = named;
    show();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.target.closest("select")) return;
    const action = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      Home: () => go(kept[0]),
      End: () => go(kept[kept.length - 1]),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  let start = null;
  document.querySelector("main").addEventListener("touchstart", (event) => {
    const zoomed = window.visualViewport && window.visualViewport.scale > 1.05;
    start = event.touches.length === 1 && !zoomed ? event.touches[0] : null;
  }, { passive: true });
  document.querySelector("main").addEventListener("touchend", (event) => {
    if (!start) return;
    const across = event.changedTouches[0].clientX - start.clientX;
    const down = event.changedTouches[0].clientY - start.clientY;
    start = null;
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(down)) step(across < 0 ? 1 : -1);
  }, { passive: true });

  previous.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow);
  links.forEach((link, index) => link.addEventListener("click", (event) => {
    event.preventDefault();
    go(leaves[index]);
    current.focus({ preventScroll: window.innerWidth > 900 });
  }));

  document.documentElement.classList.add("leafing");
  if (window.innerWidth <= 900) jump.open = false;
  form.hidden = false;
  pager.hidden = false;
  hint.hidden = false;
  filter();
  follow();
})();
