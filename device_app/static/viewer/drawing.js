// Draws the windowed picture under the boxes. The whole picture is windowed once a change, into a canvas of its
// own size that is on no page; moving and enlarging only draw that one anew.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const EXACT_FROM = 4; // screen pixels for one of the picture: from here on pixels are shown as squares

  class Drawing {
    constructor(canvas, facts) {
      this.canvas = canvas;
      this.facts = facts;
      this.values = null;
      this.sheet = document.createElement("canvas");
      this.sheet.width = facts.values_width_px;
      this.sheet.height = facts.values_height_px;
      this.painter = this.sheet.getContext("2d", { alpha: false, willReadFrequently: true });
      this.context = canvas.getContext("2d", { alpha: false });
    }

    // window: see gray.js.
    paint(window) {
      this.image ??= this.painter.createImageData(this.sheet.width, this.sheet.height);
      const pixels = new Uint32Array(this.image.data.buffer);
      const shades = ulna.gray.table(window, this.facts);
      const values = this.values;
      for (let at = 0; at < values.length; at++) pixels[at] = shades[values[at]];
      this.painter.putImageData(this.image, 0, 0);
    }

    // view, place: see geometry.js. The stage's canvas holds the screen's own pixels.
    draw(view, place) {
      const dense = window.devicePixelRatio || 1;
      const size = [Math.round(place.stageWidth * dense), Math.round(place.stageHeight * dense)];
      if (this.canvas.width !== size[0]) this.canvas.width = size[0];
      if (this.canvas.height !== size[1]) this.canvas.height = size[1];
      const context = this.context;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = "#07090b";
      context.fillRect(0, 0, ...size);
      context.setTransform(...ulna.geometry.matrix(view, place).map((part) => part * dense));
      const across = this.facts.width_px / this.sheet.width;
      context.imageSmoothingEnabled = ulna.geometry.scaleOf(view, place) * dense * across < EXACT_FROM;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.sheet, 0, 0, this.facts.width_px, this.facts.height_px);
    }
  }

  ulna.Drawing = Drawing;
})();
