// The ruler on the stage: its two ends, its line and its length, drawn over the picture and said in words.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const TEXT_WIDTH_PX = 58; // half of what the longest length takes
  const NUDGE_PX = 1;
  const START = 0.2; // of the stage: how far from its middle the ends of a new ruler are

  const { shape } = ulna;

  class Measure {
    constructor(viewer, facts) {
      this.viewer = viewer;
      this.origin = facts?.spacing_origin || "stated";
      this.scale = facts?.row_mm && facts?.column_mm ? { rowMm: facts.row_mm, columnMm: facts.column_mm } : null;
      this.ruler = ulna.ruler.empty();
      this.output = viewer.root.querySelector("[data-length]");
      this.say();
    }

    touch(point) {
      this.use(ulna.ruler.touched(this.ruler, this.viewer.toPicture(point), this.viewer.place));
    }

    // What a finger at a point of the stage takes hold of: an end of the ruler, or nothing that moves.
    grip(point) {
      const number = ulna.ruler.endAt(this.ruler, (end) => this.viewer.toStage(end), point);
      if (number === null) return { tap: () => this.touch(point) };
      return { move: (to) => this.moveEnd(number, to), tap: () => this.hold(number) };
    }

    arrow(x, y, far) {
      this.nudge(x * NUDGE_PX * far, y * NUDGE_PX * far);
    }

    hold(number) {
      this.use({ ...this.ruler, held: number });
    }

    moveEnd(number, point) {
      this.use(ulna.ruler.withEnd(this.ruler, number, this.viewer.toPicture(point), this.viewer.place));
    }

    // By pixels of the stage; makes a ruler where there is none yet, for whoever has no finger to touch with.
    nudge(dx, dy) {
      if (this.ruler.ends.length < 2) return this.across();
      const end = this.viewer.toStage(this.ruler.ends[this.ruler.held]);
      return this.moveEnd(this.ruler.held, { x: end.x + dx, y: end.y + dy });
    }

    across() {
      const { stageWidth, stageHeight } = this.viewer.place;
      const middle = { x: stageWidth / 2, y: stageHeight / 2 };
      const far = START * Math.min(stageWidth, stageHeight);
      const [from, to] = [-far, far].map((off) => this.viewer.toPicture({ x: middle.x + off, y: middle.y }));
      const one = ulna.ruler.touched(ulna.ruler.empty(), from, this.viewer.place);
      this.use(ulna.ruler.touched(one, to, this.viewer.place));
    }

    other() {
      if (this.ruler.ends.length < 2) return this.across();
      return this.use(ulna.ruler.other(this.ruler));
    }

    clear() {
      this.use(ulna.ruler.empty());
    }

    use(ruler) {
      this.ruler = ruler;
      this.say();
      this.viewer.redraw();
    }

    figure() {
      const [from, to] = this.ruler.ends;
      return ulna.ruler.figure(ulna.ruler.length(from, to, this.scale), this.scale);
    }

    // With where the length holds: at the detector it is longer than in the patient.
    text() {
      const lengths = JSON.parse(this.viewer.says.lengths);
      return (this.scale ? lengths[this.origin] : lengths.pixels).replace("{n}", this.figure());
    }

    shortText() {
      return this.viewer.says[this.scale ? "saysMm" : "saysPx"].replace("{n}", this.figure());
    }

    say() {
      const { saysFirst, saysSecond } = this.viewer.says;
      const count = this.ruler.ends.length;
      this.output.textContent = count === 2 ? this.text() : count === 1 ? saysSecond : saysFirst;
    }

    draw() {
      const group = this.viewer.root.querySelector("g.ruler");
      group.replaceChildren();
      const ends = this.ruler.ends.map((end) => this.viewer.toStage(end));
      if (ends.length === 2) {
        const line = { x1: ends[0].x, y1: ends[0].y, x2: ends[1].x, y2: ends[1].y };
        shape(group, "line", { class: "ruler-halo", ...line });
        shape(group, "line", { class: "ruler-line", ...line });
      }
      ends.forEach((end, number) => {
        const held = this.viewer.mode === "ruler" && number === this.ruler.held ? " ruler-held" : "";
        shape(group, "circle", { class: `ruler-end${held}`, cx: end.x, cy: end.y, r: 11 });
        shape(group, "path", { class: "ruler-dot", d: `M${end.x - 5} ${end.y}h10M${end.x} ${end.y - 5}v10` });
      });
      if (ends.length === 2) this.drawText(group, ends);
    }

    // Above the line, or right of a steep one, within the stage.
    drawText(group, [from, to]) {
      const { stageWidth, stageHeight } = this.viewer.place;
      const isSteep = Math.abs(to.y - from.y) > Math.abs(to.x - from.x);
      const x = Math.min(Math.max((from.x + to.x) / 2 + (isSteep ? TEXT_WIDTH_PX + 16 : 0), TEXT_WIDTH_PX), stageWidth - TEXT_WIDTH_PX);
      const y = Math.min(Math.max((from.y + to.y) / 2 + (isSteep ? 7 : -18), 30), stageHeight - 14);
      shape(group, "text", { class: "ruler-text", x, y, "text-anchor": "middle" }).textContent = this.shortText();
    }
  }

  ulna.Measure = Measure;
})();
