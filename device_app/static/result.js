// Starts the viewers and their switches, and looks again while the result is awaited.
"use strict";
(() => {
  const WATCHING = { "X-Ulna-Watching": "1" }; // what a page asks by itself keeps nobody signed in
  const viewers = new WeakMap();
  const linked = new WeakSet();

  const start = (article) => {
    const roots = [...article.querySelectorAll(".viewer")].filter((root) => root.querySelector(".stage"));
    for (const root of roots) if (!viewers.has(root)) viewers.set(root, new ulna.Viewer(root));
    const button = article.querySelector("[data-switch=linked]");
    if (!button || linked.has(button)) return;
    linked.add(button);
    if (roots.length === 2) ulna.link(roots.map((root) => viewers.get(root)), button);
    else button.remove();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-toggle]");
    if (!button) return;
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    const shown = button.closest(".viewer").classList;
    shown.toggle(`show-${button.dataset.toggle}`, on);
    shown.toggle(`hide-${button.dataset.toggle}`, !on);
  });
  for (const article of document.querySelectorAll("article")) start(article);
  ulna.bindReadings();

  // What is enlarged or measured stays as it is: only what the answer adds is put in.
  const renewViewer = (old, fresh) => {
    const viewer = viewers.get(old);
    if (!viewer || !fresh.querySelector(".stage")) return old.replaceWith(fresh);
    for (const part of [".stamp", ".over", ".marks"]) old.querySelector(part).replaceWith(fresh.querySelector(part));
    old.querySelector("svg.plate").setAttribute("aria-label", fresh.querySelector("svg.plate").getAttribute("aria-label"));
    old.classList.remove("viewer-working");
    old.classList.add(...fresh.classList);
    viewer.redraw();
    viewer.light?.load();
  };

  const renewArticle = (old, fresh) => {
    if (old.dataset.state === undefined) return;
    old.className = fresh.className;
    for (const key of ["state", "seen"]) {
      if (fresh.dataset[key] === undefined) delete old.dataset[key];
      else old.dataset[key] = fresh.dataset[key];
    }
    renewViewer(old.querySelector(".viewer"), fresh.querySelector(".viewer"));
    old.querySelector(".panel").replaceWith(fresh.querySelector(".panel"));
    start(old);
  };

  const reload = () => {
    ulna.leaving = true; // nobody who is asked by the page itself could answer
    location.reload();
  };

  const renew = async () => {
    const answer = await fetch(location.href, { cache: "no-store", headers: WATCHING, signal: AbortSignal.timeout(8000) });
    if (answer.redirected) return reload(); // signed out meanwhile
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const bare of fresh.querySelectorAll("noscript")) bare.remove();
    const articles = [...document.querySelectorAll("article")];
    if (articles.some((article) => !fresh.getElementById(article.id))) return reload();
    const ended = articles.filter((article) => article.dataset.state).length;
    for (const article of articles) renewArticle(article, fresh.getElementById(article.id));
    document.getElementById("whole")?.replaceWith(fresh.getElementById("whole"));
    for (const part of fresh.querySelectorAll("#agree, #people-say")) document.getElementById(part.id)?.replaceWith(part);
    ulna.bindReadings();
    document.title = fresh.title;
    if (articles.filter((article) => article.dataset.state).length < ended)
      document.getElementById("news").textContent = document.querySelector("h1").textContent;
    return undefined;
  };

  const NEXT_MS = 1000;
  const SOON_MS = 150; // as long as picture and answer may come any moment
  const SOON_FOR_MS = 15000;
  const FAILED_MS = 4000;
  const look = async () => {
    const waiting = [...document.querySelectorAll("[data-state]")];
    if (waiting.length === 0) return;
    let pause = performance.now() < SOON_FOR_MS ? SOON_MS : NEXT_MS;
    try {
      const answer = await fetch(waiting[0].dataset.state, {
        cache: "no-store",
        headers: { Accept: "application/json", ...WATCHING },
        signal: AbortSignal.timeout(8000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const said = await answer.json();
      const place = waiting[0].querySelector(".place");
      if (place && place.textContent !== said.place) place.textContent = said.place;
      if (said.seen !== waiting[0].dataset.seen) await renew();
    } catch {
      pause = FAILED_MS;
    }
    setTimeout(look, pause);
  };
  setTimeout(look, SOON_MS / 3);
})();
