// Places on the stage: drawn by dragging or by two touches, and moved, made larger or smaller, and removed.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const { places: pure, shape } = ulna;
  const STEP_PX = 8; // of the stage, a touch of a button
  const KEY_PX = 3; // an arrow key
  const NEW_SHARE = 0.25; // of the stage's shorter side, a new place's
  const HANDLE_PX = 16;
  const NAME_PX = 20;
  const MOST_LETTERS = 18;

  class Marks {
    constructor(viewer) {
      this.viewer = viewer;
      this.first = null; // a corner that waits for its opposite one, in the picture's pixels
      this.sketch = null; // {index, place}: what a finger is at now; no index for a new one
      this.sizing = false; // whether arrows change the size
      this.button = viewer.root.querySelector("[data-switch=mark]");
      this.strip = viewer.root.querySelector(".strip-mark");
      if (this.button) ulna.marking.register(viewer);
    }

    get isOpen() {
      return Boolean(this.button && ulna.marking.says);
    }

    // Which of the places is held, if it is one of this picture's.
    get held() {
      const index = ulna.marking.held;
      return ulna.marking.places[index]?.image === this.viewer.image ? index : -1;
    }

    get heldPlace() {
      return ulna.marking.places[this.held];
    }

    onPicture(one, other) {
      const { viewer } = this;
      return pure.between(viewer.image, viewer.toPicture(one), viewer.toPicture(other), viewer.place);
    }

    // What a finger at a point of the stage takes hold of.
    grip(point) {
      const held = this.held;
      const part = held < 0 || this.first ? null : pure.gripAt(this.heldPlace, (at) => this.viewer.toStage(at), point, this.viewer.toPicture(point));
      const grip = part === null ? this.gripOfNew(point) : this.gripOfHeld(held, part, point);
      return { ...grip, cancel: () => this.drop() };
    }

    gripOfHeld(index, part, from) {
      const before = this.heldPlace;
      const start = this.viewer.toPicture(from);
      const move = (to) => {
        const now = this.viewer.toPicture(to);
        const place = part === "all"
          ? pure.shifted(before, now.x - start.x, now.y - start.y, this.viewer.place)
          : this.withCornerBy(before, part, now.x - start.x, now.y - start.y);
        this.see({ index, place });
      };
      return { move, end: () => this.finish(), tap: () => {} };
    }

    withCornerBy(place, corner, dx, dy) {
      const at = pure.corners(place)[corner];
      return pure.withCorner(place, corner, { x: at.x + dx, y: at.y + dy }, this.viewer.place);
    }

    gripOfNew(from) {
      const move = (to) => {
        this.first = null;
        if (!ulna.marking.isFull) this.see({ place: this.onPicture(from, to) });
      };
      return { move, end: () => this.finish(), tap: () => this.touch(from) };
    }

    see(sketch) {
      this.sketch = sketch;
      this.refresh();
    }

    drop() {
      this.first = null;
      this.see(null);
    }

    finish() {
      const { sketch } = this;
      this.sketch = null;
      if (sketch?.index !== undefined) ulna.marking.replace(sketch.index, sketch.place);
      else ulna.marking.add(sketch?.place);
      this.refresh();
    }

    // A touch: the second of two corners, a place that is there, or the first of two corners.
    touch(point) {
      const at = this.viewer.toPicture(point);
      if (this.first) return this.touchSecond(at);
      const hit = ulna.marking.places.findLastIndex((place) => place.image === this.viewer.image && pure.holds(place, at));
      if (hit < 0 && !ulna.marking.isFull) this.first = at;
      return ulna.marking.hold(hit);
    }

    touchSecond(at) {
      const place = pure.between(this.viewer.image, this.first, at, this.viewer.place);
      this.first = place ? null : at;
      ulna.marking.add(place);
      this.refresh();
    }

    // In the middle of what is seen now, for whoever has no finger to draw with.
    new() {
      const { stageWidth, stageHeight } = this.viewer.place;
      const half = (NEW_SHARE * Math.min(stageWidth, stageHeight)) / 2;
      const [x, y] = [stageWidth / 2, stageHeight / 2];
      this.first = null;
      ulna.marking.add(this.onPicture({ x: x - half, y: y - half }, { x: x + half, y: y + half }));
    }

    next() {
      this.drop();
      ulna.marking.next(this.viewer.image);
    }

    size() {
      this.sizing = !this.sizing;
      this.refresh();
    }

    remove() {
      if (this.first || this.held < 0) this.drop();
      else ulna.marking.remove(this.held);
    }

    undo() {
      if (this.first) this.drop();
      else ulna.marking.undo();
    }

    // Whether there was anything to let go of.
    release() {
      if (!this.first && this.held < 0) return false;
      this.drop();
      ulna.marking.hold(-1);
      return true;
    }

    act(way, arrow) {
      if (arrow) this.step(arrow[0] * STEP_PX, arrow[1] * STEP_PX);
      else this[way]();
    }

    // Whether there is a place that an arrow means.
    arrow(x, y, far) {
      return this.step(x * KEY_PX * far, y * KEY_PX * far);
    }

    step(dx, dy) {
      if (this.held < 0) return false;
      const [from, to] = [this.viewer.toPicture({ x: 0, y: 0 }), this.viewer.toPicture({ x: dx, y: dy })];
      const off = [to.x - from.x, to.y - from.y];
      const corner = pure.lowerRight(this.viewer.view.turn);
      const place = this.sizing
        ? this.withCornerBy(this.heldPlace, corner, ...off)
        : pure.shifted(this.heldPlace, ...off, this.viewer.place);
      ulna.marking.replace(this.held, place);
      return true;
    }

    refresh() {
      if (this.button) this.button.hidden = !this.isOpen;
      if (this.isOpen && this.viewer.mode === "mark") this.say();
      this.viewer.redraw();
    }

    say() {
      const { says, isFull, past } = ulna.marking;
      const there = ulna.marking.places.filter((place) => place.image === this.viewer.image).length;
      const words = this.first ? says.saysSecond : this.held >= 0 ? ulna.marking.line(this.held) : isFull ? says.saysFull : says.saysFirst;
      const output = this.strip.querySelector("[data-place]");
      if (output.textContent !== words) output.textContent = words;
      const usable = { new: !isFull, next: there > 1 || (there === 1 && this.held < 0), remove: this.held >= 0, size: this.held >= 0, undo: past.length > 0 };
      for (const [name, can] of Object.entries(usable)) this.strip.querySelector(`[data-act=mark-${name}]`).setAttribute("aria-disabled", String(!can));
      this.strip.querySelector("[data-act=mark-size]").setAttribute("aria-pressed", String(this.sizing));
      for (const arrow of this.strip.querySelectorAll("[data-label-size]")) {
        const label = this.sizing ? arrow.dataset.labelSize : arrow.dataset.labelMove;
        arrow.setAttribute("aria-label", label);
        arrow.title = label;
        arrow.setAttribute("aria-disabled", String(this.held < 0));
      }
    }

    draw() {
      const group = this.viewer.root.querySelector("g.people");
      group.replaceChildren();
      for (const one of ulna.marking.on(this.viewer.image)) this.drawOne(group, one);
      if (this.sketch?.place && this.sketch.index === undefined) this.drawOne(group, { place: this.sketch.place, label: "", kind: "drawn", index: -2 });
      if (this.first) this.drawCorner(group);
    }

    drawOne(group, { place, label, kind, index }) {
      const now = this.sketch && this.sketch.index === index && index !== undefined ? this.sketch.place : place;
      const ends = pure.corners(now).map((corner) => this.viewer.toStage(corner));
      const [x, y] = [Math.min(...ends.map((end) => end.x)), Math.min(...ends.map((end) => end.y))];
      const sides = { x, y, width: Math.max(...ends.map((end) => end.x)) - x, height: Math.max(...ends.map((end) => end.y)) - y };
      shape(group, "rect", { class: "place-halo", ...sides });
      shape(group, "rect", { class: `place-line place-${kind}`, ...sides });
      if (kind === "drawn" && index === this.held && this.viewer.mode === "mark")
        for (const end of ends) shape(group, "rect", { class: "place-handle", x: end.x - HANDLE_PX / 2, y: end.y - HANDLE_PX / 2, width: HANDLE_PX, height: HANDLE_PX });
      this.drawLabel(group, label, sides);
    }

    // Below the place, where the box's own number never stands, or within it at the stage's edge.
    drawLabel(group, label, { x, y, height }) {
      const { stageWidth, stageHeight } = this.viewer.place;
      const [name, number] = [label.slice(0, label.lastIndexOf(" ")), label.slice(label.lastIndexOf(" "))];
      const text = name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS)}…${number}` : label;
      const below = y + height + NAME_PX + 4;
      const at = { x: Math.min(Math.max(x, 4), stageWidth - 60), y: below < stageHeight - 4 ? below : Math.min(y + height, stageHeight) - 8 };
      shape(group, "text", { class: "place-name", "font-size": NAME_PX, ...at }).textContent = text;
    }

    drawCorner(group) {
      const { x, y } = this.viewer.toStage(this.first);
      shape(group, "path", { class: "place-halo", d: `M${x - 16} ${y}h32M${x} ${y - 16}v32` });
      shape(group, "path", { class: "place-corner", d: `M${x - 16} ${y}h32M${x} ${y - 16}v32` });
    }
  }

  ulna.Marks = Marks;
})();
