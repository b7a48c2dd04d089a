// Brightness and contrast: fetches the stored values when they are first wanted, and windows them.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const gray = ulna.gray;
  const STEP = 4; // of 100, a touch of a button or of an arrow key
  const DRAG = 0.25; // of 100, for each pixel that a finger moves
  const AGAIN_MS = [300, 700, 1500, 3000]; // the values are stored a moment after the picture

  class Light {
    constructor(viewer, facts) {
      this.viewer = viewer;
      this.facts = facts;
      this.first = { low: facts.low, high: facts.high, inverted: false };
      this.window = this.first;
      this.reach = gray.reach(facts, this.first);
      this.strip = viewer.root.querySelector(".strip-light");
      this.output = this.strip.querySelector("[data-window]");
      for (const slider of this.strip.querySelectorAll("[data-slider]"))
        slider.addEventListener("input", () => this.set(slider.dataset.slider, Number(slider.value)));
      this.show();
    }

    // Resolves once the values are there; a later call asks again where they were not.
    load() {
      this.loading ??= this.fetch().catch(() => {
        this.loading = null;
        this.output.textContent = this.viewer.says.saysNone;
        return false;
      });
      return this.loading;
    }

    async fetch() {
      const { values_width_px: width, values_height_px: height } = this.facts;
      this.output.textContent = this.viewer.says.saysFetching;
      let values = null;
      for (const pause of [...AGAIN_MS, null]) {
        try {
          values = await ulna.values.fetchValues(this.viewer.says.values, width, height);
          break;
        } catch (error) {
          if (pause === null) throw error;
          await new Promise((done) => setTimeout(done, pause));
        }
      }
      this.viewer.useValues(values);
      this.show();
      return true;
    }

    percent(name) {
      return gray[name](this.window, this.reach);
    }

    set(name, percent) {
      const change = name === "brightness" ? gray.withBrightness : gray.withContrast;
      this.use(change(this.window, this.reach, percent));
    }

    step(name, steps) {
      this.set(name, this.percent(name) + STEP * steps);
    }

    drag(dx, dy) {
      const bright = gray.withBrightness(this.window, this.reach, this.percent("brightness") - DRAG * dy);
      this.use(gray.withContrast(bright, this.reach, gray.contrast(bright, this.reach) + DRAG * dx));
    }

    invert() {
      this.use({ ...this.window, inverted: !this.window.inverted });
    }

    reset() {
      this.use(this.first);
    }

    use(window) {
      this.window = window;
      this.show();
      this.load().then((there) => there && this.viewer.repaint());
    }

    show() {
      for (const slider of this.strip.querySelectorAll("[data-slider]"))
        slider.value = String(Math.round(this.percent(slider.dataset.slider)));
      this.strip.querySelector("[data-switch=invert]").setAttribute("aria-pressed", String(this.window.inverted));
      if (!this.viewer.drawing.values) return;
      const { level, width } = { level: Math.round(gray.level(this.window)), width: Math.round(gray.width(this.window)) };
      this.output.textContent = this.viewer.says.saysWindow.replace("{level}", level).replace("{width}", width);
    }
  }

  ulna.Light = Light;
})();
