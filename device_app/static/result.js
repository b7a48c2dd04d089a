// Starts the viewers and their switches, and looks again: a result may come, and a view may be added at any time.
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

  const leave = () => {
    ulna.leaving = true; // nobody who is asked by the page itself could answer
    location.reload();
  };

  let typed = false; // a choice or a word that is not sent yet
  document.addEventListener("input", (event) => (typed ||= Boolean(event.target.closest("main form"))));
  const { marking } = ulna;
  const hasUnsaved = () => typed || (marking.places.length > 0 && marking.past.length > 0);

  // What somebody has begun is hers to give up; no answer that no longer holds stands beside it meanwhile.
  const watch = document.getElementById("watch");
  const become = (seen) => {
    if (!hasUnsaved()) return leave();
    watch.dataset.seen = seen;
    watch.hidden = false;
    document.querySelector("main").classList.add("is-old");
    document.title = watch.querySelector("strong").textContent;
    document.getElementById("news").textContent = ""; // the old answer, to whoever listens
    return watch.scrollIntoView({ block: "nearest" });
  };

  const SOMETIMES = ["whole", "whose"];
  const PARTS = ["agree", "people-say", "to-report", ...SOMETIMES];
  const articlesOf = (page) => [...page.querySelectorAll("article")];

  // Whether the page can become the other one where it stands: only answers that were awaited have come.
  const canStay = (fresh) => {
    const [old, now] = [document, fresh].map(articlesOf);
    if (old.length !== now.length || SOMETIMES.some((id) => !document.getElementById(id) !== !fresh.getElementById(id))) return false;
    return old.every((article, at) => article.id === now[at].id && (article.dataset.state || article.dataset.seen === now[at].dataset.seen));
  };

  const renew = async () => {
    const answer = await fetch(location.href, { cache: "no-store", headers: WATCHING, signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const bare of fresh.querySelectorAll("noscript")) bare.remove();
    const now = fresh.getElementById("watch");
    if (!now) return leave(); // signed out meanwhile
    if (answer.redirected || !canStay(fresh)) return become(now.dataset.seen);
    const articles = articlesOf(document);
    const waited = articles.filter((article) => article.dataset.state).length;
    for (const article of articles) renewArticle(article, fresh.getElementById(article.id));
    for (const id of PARTS) {
      const part = fresh.getElementById(id);
      if (part && !(typed && id === "people-say")) document.getElementById(id)?.replaceWith(part);
    }
    watch.dataset.seen = now.dataset.seen;
    ulna.bindReadings();
    document.title = fresh.title;
    if (articles.filter((article) => article.dataset.state).length < waited)
      document.getElementById("news").textContent = document.querySelector("h1").textContent;
    return undefined;
  };

  const SLOW_MS = 5000; // all is answered: only a view that is added or taken out changes anything
  const NEXT_MS = 1000;
  const SOON_MS = 150; // as long as picture and answer may come any moment
  const SOON_FOR_MS = 15000;
  const FAILED_MS = 4000;
  const ask = async (waiting) => {
    const answer = await fetch(watch.dataset.address, {
      cache: "no-store",
      headers: { Accept: "application/json", ...WATCHING },
      signal: AbortSignal.timeout(8000),
    });
    if (answer.status === 401) return leave(); // signed out meanwhile
    if (!answer.ok) throw new Error(String(answer.status));
    const said = await answer.json();
    const place = waiting?.querySelector(".place");
    if (place && place.textContent !== said.place) place.textContent = said.place;
    return said.seen === watch.dataset.seen || isSent ? undefined : renew();
  };

  let next = 0;
  let isAsking = false;
  let isSent = false; // a form is on its way: the page that answers it is the next one
  const look = async () => {
    if (isAsking) return;
    isAsking = true;
    const waiting = document.querySelector("[data-state]");
    let pause = SLOW_MS;
    if (waiting) pause = performance.now() < SOON_FOR_MS ? SOON_MS : NEXT_MS;
    try {
      if (!isSent && (waiting || !document.hidden)) await ask(waiting);
    } catch {
      pause = FAILED_MS;
    }
    isAsking = false;
    next = setTimeout(look, pause);
  };
  const ON_ITS_WAY_MS = 30000;
  const stays = () => (isSent = false);
  document.addEventListener("submit", (event) => {
    isSent ||= !event.defaultPrevented || ulna.sending.size > 0; // a second touch stops nothing
    setTimeout(stays, ON_ITS_WAY_MS);
  });
  // Whoever touches the page again has not left it: it was stopped, or she chose to stay.
  for (const sign of ["pointerdown", "keydown", "pageshow"]) window.addEventListener(sign, stays, true);
  next = setTimeout(look, SOON_MS / 3);
  // Whoever comes back to the page sees at once what holds now.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || document.querySelector("[data-state]")) return;
    clearTimeout(next);
    look();
  });
})();
