// Whose places are on the page: those being marked for the form, with a way back, and those of readings.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const { places: pure } = ulna;

  class Marking {
    constructor() {
      this.viewers = new Map(); // by the number of the picture
      this.places = [];
      this.held = -1;
      this.past = [];
      this.shown = new Map(); // of readings, by the button that shows them: {name, places}
      this.watchers = [];
      this.says = null; // the form's own words; none while there is no form to mark places for
    }

    register(viewer) {
      this.viewers.set(viewer.image, viewer);
    }

    // The page has a form for places, or has another one now.
    open(says) {
      this.says = says;
      this.regions = JSON.parse(says.saysRegions);
      this.most = Number(says.most);
      this.tell();
    }

    get isFull() {
      return this.places.length >= this.most;
    }

    // Every change goes through here, so that each can be taken back.
    change(places, held) {
      this.past.push({ places: this.places, held: this.held });
      this.places = places;
      this.hold(held);
    }

    undo() {
      const before = this.past.pop();
      if (!before) return;
      this.places = before.places;
      this.hold(before.held);
    }

    hold(index) {
      this.held = index < this.places.length ? index : -1;
      this.tell();
    }

    add(place) {
      if (place && !this.isFull) this.change([...this.places, place], this.places.length);
    }

    replace(index, place) {
      if (pure.same(this.places[index], place)) return this.tell();
      return this.change(this.places.with(index, place), index);
    }

    remove(index) {
      if (this.places[index]) this.change(this.places.toSpliced(index, 1), Math.min(index, this.places.length - 2));
    }

    // Those that are not there yet, as long as there is room.
    takeOver(others) {
      const fresh = others.filter((other) => this.viewers.has(other.image) && !this.places.some((place) => pure.same(place, other)));
      const room = this.most - this.places.length;
      if (fresh.length && room > 0) this.change([...this.places, ...fresh.slice(0, room)], this.places.length);
    }

    // The next one on a picture after the one that is held.
    next(image) {
      const own = this.places.flatMap((place, index) => (place.image === image ? [index] : []));
      if (own.length) this.hold(own.find((index) => index > this.held) ?? own[0]);
    }

    sheetOf(image) {
      return this.viewers.get(image)?.place;
    }

    // "Place 1: upper left, 120 x 80 px"
    line(index) {
      const place = this.places[index];
      const pictures = [...this.viewers.keys()];
      const words = {
        number: index + 1,
        picture: pictures.indexOf(place.image) + 1,
        region: this.regions[pure.region(place, this.sheetOf(place.image))],
        width: Math.round(place.x1 - place.x0),
        height: Math.round(place.y1 - place.y0),
      };
      const text = pictures.length > 1 ? this.says.saysPlaceOf : this.says.saysPlace;
      return text.replace(/\{(\w+)\}/g, (_, name) => words[name]);
    }

    show(button, said) {
      if (said) this.shown.set(button, said);
      else this.shown.delete(button);
      this.tell();
    }

    // What a picture shows over itself, the form's places last and so on top.
    on(image) {
      const found = [];
      for (const { name, places } of this.shown.values())
        places.forEach((place, index) => place.image === image && found.push({ place, label: `${name} ${index + 1}`, kind: "said" }));
      this.places.forEach((place, index) => {
        if (place.image === image) found.push({ place, label: `${this.says.saysYou} ${index + 1}`, kind: "drawn", index });
      });
      return found;
    }

    tell() {
      for (const viewer of this.viewers.values()) viewer.marks.refresh();
      for (const watch of this.watchers) watch();
    }
  }

  const marking = new Marking();
  ulna.marking = marking;
  // What was marked and not stored would be gone without a word.
  addEventListener("beforeunload", (event) => {
    if (marking.places.length && marking.past.length && !ulna.leaving) event.preventDefault();
  });
})();
