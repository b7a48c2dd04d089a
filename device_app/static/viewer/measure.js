// The ruler on the stage: its two ends, its line and its length, drawn over the picture and said in words.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const TEXT_WIDTH_PX = 58; // half of what the longest length takes
  const START = 0.2; // of the stage: how far from its middle the ends of a new ruler are

  const shape = (parent, name, attributes) => {
    const made = document.createElementNS(NAMESPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return parent.appendChild(made);
  };

  class Measure {
    constructor(viewer, facts) {
      this.viewer = viewer;
      this.scale = facts?.row_mm && facts?.column_mm ? { rowMm: facts.row_mm, columnMm: facts.column_mm } : null;
      this.ruler = ulna.ruler.empty();
      this.output = viewer.root.querySelector("[data-length]");
      this.say();
    }

    touch(point) {
      this.use(ulna.ruler.touched(this.ruler, this.viewer.toPicture(point), this.viewer.place));
    }

    // Which end a finger at a point of the stage takes, null for none.
    endAt(point) {
      return ulna.ruler.endAt(this.ruler, (end) => this.viewer.toStage(end), point);
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

    text(kind) {
      const [from, to] = this.ruler.ends;
      const value = ulna.ruler.figure(ulna.ruler.length(from, to, this.scale), this.scale);
      return this.viewer.says[`says${this.scale ? "Mm" : "Px"}${kind}`].replace("{n}", value);
    }

    say() {
      const { saysFirst, saysSecond } = this.viewer.says;
      const count = this.ruler.ends.length;
      this.output.textContent = count === 2 ? this.text("") : count === 1 ? saysSecond : saysFirst;
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
      shape(group, "text", { class: "ruler-text", x, y, "text-anchor": "middle" }).textContent = this.text("Short");
    }
  }

  ulna.Measure = Measure;
})();
