// One viewer: what it shows, and which part does what. Everything is drawn once a frame at most.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const geometry = ulna.geometry;
  const ZOOM_STEP = 1.5;
  const TAP_ZOOM = 2.5;
  const PAN_SHARE = 0.25; // of the stage, a touch of an arrow's button
  const NAME_PX = 22;

  class Viewer {
    constructor(root) {
      this.root = root;
      this.says = root.dataset;
      this.stage = root.querySelector(".stage");
      this.image = Number(this.says.image);
      this.mode = "move";
      this.watchers = [];
      this.place = { width: Number(this.says.width), height: Number(this.says.height), aspect: Number(this.says.aspect), stageWidth: 1, stageHeight: 1 };
      const facts = this.says.facts ? JSON.parse(this.says.facts) : null;
      this.measureStage();
      this.view = geometry.whole(this.place);
      this.measure = new ulna.Measure(this, facts);
      this.marks = new ulna.Marks(this);
      this.drawing = facts && new ulna.Drawing(root.querySelector("canvas.grays"), facts);
      this.light = facts && new ulna.Light(this, facts);
      this.begin();
    }

    begin() {
      this.root.classList.add("viewer-on");
      this.root.querySelector("svg.plate").removeAttribute("viewBox"); // from here on its unit is the stage's
      this.stage.tabIndex = 0;
      this.stage.setAttribute("role", "application");
      this.stage.setAttribute("aria-label", this.stage.dataset.label);
      this.root.querySelector(".tools").hidden = false;
      this.root.addEventListener("click", (event) => this.click(event));
      this.gestures = new ulna.Gestures(this);
      ulna.listenToKeys(this);
      new ResizeObserver(() => this.resize()).observe(this.stage);
      this.resize();
      if (this.light && this.says.answered === "true") this.light.load(); // while it works, the engine comes first
    }

    click(event) {
      const button = event.target.closest("button");
      if (button?.dataset.act) this.act(button.dataset.act);
      if (button?.dataset.switch) this.flip(button.dataset.switch);
    }

    measureStage() {
      this.place = { ...this.place, stageWidth: this.stage.clientWidth || 1, stageHeight: this.stage.clientHeight || 1 };
    }

    resize() {
      this.measureStage();
      this.look(this.view);
    }

    toStage(point) {
      return geometry.toStage(this.view, this.place, point);
    }

    toPicture(point) {
      return geometry.toPicture(this.view, this.place, point);
    }

    // Whether the view is another one now.
    look(view, quiet = false) {
      const before = this.view;
      this.view = geometry.kept(view, this.place);
      this.redraw();
      const changed = ["zoom", "x", "y", "turn"].some((key) => Math.abs(this.view[key] - before[key]) > 1e-9);
      if (changed && !quiet) for (const tell of this.watchers) tell(this);
      return changed;
    }

    zoom(factor, point = { x: this.place.stageWidth / 2, y: this.place.stageHeight / 2 }) {
      return this.look(geometry.zoomed(this.view, this.place, factor, point));
    }

    pan(dx, dy) {
      return this.look(geometry.moved(this.view, this.place, dx, dy));
    }

    turn(quarters) {
      return this.look(geometry.turned(this.view, this.place, quarters));
    }

    enlargeOrFit(point) {
      if (this.view.zoom > 1) this.fit();
      else this.zoom(TAP_ZOOM, point);
    }

    fit() {
      this.look({ ...geometry.whole(this.place), turn: this.view.turn });
    }

    // A button's act, by its name in the page.
    act(name) {
      const [group, way] = [name.slice(0, name.indexOf("-")), name.slice(name.indexOf("-") + 1)];
      const arrow = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] }[way];
      if (name === "closer") this.zoom(ZOOM_STEP);
      else if (name === "farther") this.zoom(1 / ZOOM_STEP);
      else if (name === "fit") this.fit();
      else if (group === "turn") this.turn(way === "left" ? -1 : 1);
      else if (group === "pan") this.pan(-arrow[0] * PAN_SHARE * this.place.stageWidth, -arrow[1] * PAN_SHARE * this.place.stageHeight);
      else if (group === "ruler" && arrow) this.measure.arrow(...arrow, 1);
      else if (group === "ruler") this.measure[way]();
      else if (group === "mark") this.marks.act(way, arrow);
      else if (group === "light") this.light.reset();
      else if (this.light) this.light.step(group, way === "more" ? 1 : -1);
    }

    flip(name) {
      if (name === "whole") ulna.setWhole(!ulna.isWhole(), this);
      else if (name === "invert") this.light?.invert();
      else if (name === "ruler" || (name === "light" && this.light) || (name === "mark" && this.marks.isOpen))
        this.use(this.mode === name ? "move" : name);
    }

    // What a finger or a key is used with in this mode; nothing but the picture in the others.
    get hand() {
      return { ruler: this.measure, mark: this.marks }[this.mode];
    }

    use(mode) {
      this.mode = mode;
      for (const name of ["light", "ruler", "mark"]) {
        this.root.querySelector(`[data-switch=${name}]`)?.setAttribute("aria-pressed", String(mode === name));
        const strip = this.root.querySelector(`.strip-${name}`);
        if (strip) strip.hidden = mode !== name;
      }
      this.root.dataset.mode = mode;
      if (mode === "light") this.light.load();
      this.marks.drop();
    }

    useValues(values) {
      this.drawing.values = values;
      this.drawing.canvas.hidden = false;
      this.root.classList.add("viewer-gray");
      this.repaint();
    }

    repaint() {
      this.stale = true;
      this.redraw();
    }

    redraw() {
      this.frame ??= requestAnimationFrame(() => this.draw());
    }

    draw() {
      this.frame = null;
      if (this.drawing?.values) {
        if (this.stale) this.drawing.paint(this.light.window);
        this.stale = false;
        this.drawing.draw(this.view, this.place);
      }
      this.drawOver();
    }

    drawOver() {
      const matrix = geometry.matrix(this.view, this.place);
      this.root.querySelector("g.scene").setAttribute("transform", `matrix(${matrix.join(" ")})`);
      for (const name of this.root.querySelectorAll(".box-name")) this.drawName(name);
      this.marks.draw();
      this.measure.draw();
      const enlarged = this.view.zoom > 1 + 1e-6;
      this.root.querySelector(".arrows").hidden = !enlarged;
      this.root.classList.toggle("enlarged", enlarged);
    }

    // Numbers of boxes stay upright, as large as ever, and above the box or, at the stage's edge, within it.
    drawName(name) {
      const { left, top, right, bottom } = name.dataset;
      const corner = [[left, top], [left, bottom], [right, bottom], [right, top]][this.view.turn];
      const above = this.toStage({ x: Number(corner[0]), y: Number(corner[1]) }).y > 2 * NAME_PX;
      const point = { x: Number(corner[0]), y: Number(corner[1]) };
      name.setAttribute("transform", `matrix(${geometry.upright(this.view, this.place, point).join(" ")})`);
      for (const [key, value] of [["x", above ? 0 : 8], ["y", above ? -8 : NAME_PX], ["font-size", NAME_PX]])
        name.setAttribute(key, value);
    }
  }

  ulna.Viewer = Viewer;
})();
