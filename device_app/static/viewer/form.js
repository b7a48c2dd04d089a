// The part of a reading's form that holds the marked places: a list in words, and what is sent.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const { marking, places: pure } = ulna;
  const WITH_PLACES = ["fracture", "doubt"];

  class PlacesForm {
    constructor(root) {
      this.root = root;
      this.says = root.dataset;
      this.form = root.closest("form");
      this.field = root.querySelector("[name=places]");
      this.list = root.querySelector("[data-places-list]");
      this.boxes = pure.fromRows(JSON.parse(this.says.box || "[]"));
      root.addEventListener("click", (event) => this.click(event));
      this.form.addEventListener("change", () => this.refresh());
      this.form.addEventListener("submit", () => (ulna.leaving = true));
      root.hidden = false;
      marking.watchers = [() => this.refresh()];
      marking.open(this.says);
    }

    click(event) {
      const button = event.target.closest("button");
      if (!button) return;
      const { placesAct: act, index } = button.dataset;
      if (act === "mark") this.goTo([...marking.viewers.values()].find((viewer) => viewer.mode === "mark") ?? [...marking.viewers.values()][0]);
      else if (act === "take-over") marking.takeOver(this.boxes);
      else if (act === "undo") marking.undo();
      else if (act === "remove") marking.remove(Number(index));
      else if (act === "choose") this.choose(Number(index));
    }

    choose(index) {
      marking.hold(index);
      this.open(marking.viewers.get(marking.places[index].image));
    }

    open(viewer) {
      if (viewer && viewer.mode !== "mark") viewer.use("mark");
      return viewer;
    }

    goTo(viewer) {
      this.open(viewer)?.stage.scrollIntoView({ block: "nearest" });
      viewer?.stage.focus({ preventScroll: true });
    }

    // Whether this answer has places at all.
    get takesPlaces() {
      const chosen = this.form.querySelector("[name=judgement]:checked")?.value;
      return !chosen || WITH_PLACES.includes(chosen);
    }

    refresh() {
      const { places, past, isFull } = marking;
      this.field.value = this.takesPlaces ? JSON.stringify(pure.toRows(places)) : "[]";
      const count = this.root.querySelector("[data-places-count]");
      const words = places.length ? this.says.saysCount.replace("{n}", places.length).replace("{most}", marking.most) : this.says.saysNone;
      const text = places.length && !this.takesPlaces ? this.says.saysLeftOut : words;
      if (count.textContent !== text) count.textContent = text;
      if (places.length) this.form.closest("details")?.setAttribute("open", "");
      this.enable("undo", past.length > 0);
      this.enable("take-over", !isFull && this.boxes.some((box) => !places.some((place) => pure.same(place, box))));
      this.fill();
    }

    enable(act, can) {
      this.root.querySelector(`[data-places-act=${act}]`)?.setAttribute("aria-disabled", String(!can));
    }

    // Rows are kept where they are, so that whoever is on one with the keyboard stays there.
    fill() {
      const { places } = marking;
      while (this.list.children.length > places.length) this.removeRow();
      while (this.list.children.length < places.length) this.list.append(this.row(this.list.children.length));
      [...this.list.children].forEach((row, index) => {
        const [choose, remove] = row.querySelectorAll("button");
        choose.textContent = marking.line(index);
        choose.setAttribute("aria-pressed", String(index === marking.held));
        remove.setAttribute("aria-label", this.says.saysRemove.replace("{n}", index + 1));
      });
    }

    removeRow() {
      const last = this.list.lastElementChild;
      const had = last.contains(document.activeElement);
      last.remove();
      if (had) (this.list.lastElementChild?.querySelector("[data-places-act=remove]") ?? this.root.querySelector("[data-places-act=mark]")).focus();
    }

    row(index) {
      const row = this.root.querySelector("template").content.cloneNode(true);
      for (const button of row.querySelectorAll("button")) button.dataset.index = index;
      return row;
    }
  }

  // Once the viewers are there: the form for places, if the page has one, and the places of readings.
  const bound = new WeakSet();
  ulna.bindReadings = () => {
    const root = document.querySelector("[data-places]");
    if (root && !bound.has(root) && marking.viewers.size) {
      bound.add(root);
      new PlacesForm(root);
    }
    for (const button of document.querySelectorAll("[data-said-places]")) button.hidden = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-said-places]");
    if (button) {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      marking.show(button, on ? { name: button.dataset.saidName, places: pure.fromRows(JSON.parse(button.dataset.saidPlaces)) } : null);
    }
    const other = event.target.closest("[data-disagree]");
    if (!other) return;
    const form = document.querySelector("#say form");
    event.preventDefault();
    document.getElementById("say").open = true;
    form.scrollIntoView({ block: "nearest" });
    form.querySelector("[name=judgement]").focus();
  });
})();
