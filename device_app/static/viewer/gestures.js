// Fingers, mouse and wheel on the stage: one moves (or does what the mode says), two enlarge and move.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const TAP_PX = 12;
  const TWICE_MS = 350;
  const TWICE_PX = 40;
  const WHEEL = 0.0016; // of a doubling, roughly, for each pixel of a wheel's way
  const WHEEL_LINE_PX = 30;

  class Gestures {
    constructor(viewer) {
      this.viewer = viewer;
      this.fingers = new Map();
      this.lastTap = null;
      const stage = viewer.stage;
      stage.addEventListener("pointerdown", (event) => this.down(event));
      stage.addEventListener("pointermove", (event) => this.move(event));
      for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.up(event));
      stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      stage.addEventListener("touchmove", (event) => this.own(event), { passive: false });
      stage.addEventListener("dragstart", (event) => event.preventDefault());
    }

    at(event) {
      const box = this.viewer.stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    }

    // Where a finger means the picture and not the page, the browser makes no fling of a quick drag: it would
    // swallow the next touch of a button.
    own(event) {
      const { mode, view } = this.viewer;
      if (event.cancelable && (mode !== "move" || view.zoom > 1)) event.preventDefault();
    }

    down(event) {
      if (event.target.closest("button") || event.button > 0) return;
      const point = this.at(event);
      this.grip?.cancel?.(); // a second finger: both mean the picture
      this.grip = this.fingers.size ? null : (this.viewer.hand?.grip(point) ?? null);
      this.fingers.set(event.pointerId, point);
      this.viewer.stage.setPointerCapture(event.pointerId);
      this.moves = this.fingers.size > 1;
      this.startPinch();
      this.start = point;
    }

    move(event) {
      const before = this.fingers.get(event.pointerId);
      if (!before) return;
      const now = this.at(event);
      if (this.pinchStart) this.pinch(event.pointerId, now);
      else if (this.fingers.size === 1) this.drag(before, now);
      // A finger that only trembles keeps where it was, so that nothing is lost once it really moves.
      if (this.moves) this.fingers.set(event.pointerId, now);
    }

    drag(before, now) {
      this.moves ||= Math.hypot(now.x - this.start.x, now.y - this.start.y) > TAP_PX / 2;
      if (!this.moves) return;
      const { viewer } = this;
      if (this.grip?.move) this.grip.move(now);
      else if (viewer.mode === "light") viewer.light.drag(now.x - before.x, now.y - before.y);
      else viewer.pan(now.x - before.x, now.y - before.y);
    }

    startPinch() {
      this.pinchStart = this.fingers.size === 2 ? { view: this.viewer.view, ...this.twoFingers() } : null;
    }

    twoFingers() {
      const [one, other] = this.fingers.values();
      const apart = Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      return { apart, middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 } };
    }

    // From where the fingers began, so that nothing adds up on the way.
    pinch(id, now) {
      this.fingers.set(id, now);
      const { view, apart, middle } = this.pinchStart;
      const fingers = this.twoFingers();
      const { place } = this.viewer;
      this.viewer.look(ulna.geometry.pinched(view, place, fingers.apart / apart, middle, fingers.middle));
    }

    up(event) {
      if (!this.fingers.delete(event.pointerId)) return;
      this.startPinch();
      const { grip } = this;
      this.grip = null;
      if (event.type === "pointercancel") return grip?.cancel?.();
      if (this.fingers.size > 0) return undefined;
      if (this.moves) return grip?.end?.();
      return grip ? grip.tap() : this.tap(this.start, event.timeStamp);
    }

    tap(point, now) {
      const last = this.lastTap;
      const twice = last && now - last.now < TWICE_MS && Math.hypot(point.x - last.x, point.y - last.y) < TWICE_PX;
      this.lastTap = twice ? null : { ...point, now };
      if (twice) this.viewer.enlargeOrFit(point);
    }

    wheel(event) {
      const way = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_LINE_PX;
      const changed = this.viewer.zoom(2 ** (-way * WHEEL), this.at(event));
      if (changed || event.ctrlKey) event.preventDefault(); // else the page may scroll
    }
  }

  ulna.Gestures = Gestures;
})();
