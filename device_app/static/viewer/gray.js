// From stored values to shades of gray. Pure.
// A window: {low, high, inverted}: the values shown black and white. Bounds: {least, most} of the values, and
// narrowest, the width of the narrowest window, where that is another than a share of them.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const within = (value, least, most) => Math.min(Math.max(value, least), most);
  const NARROWEST = 1 / 256; // of the values' range

  const shade = (value, window) => {
    const gray = Math.round((255 * within(value - window.low, 0, window.high - window.low)) / (window.high - window.low));
    return window.inverted ? 255 - gray : gray;
  };

  // One opaque pixel for each value; no browser runs on machines that would hold its bytes the other way round.
  const table = (window, bounds) => {
    const pixels = new Uint32Array(65536);
    for (let value = bounds.least; value <= bounds.most; value++) pixels[value] = 0xff000000 | (shade(value, window) * 0x010101);
    return pixels;
  };

  const range = (bounds) => Math.max(1, bounds.most - bounds.least);
  const narrowest = (bounds) => bounds.narrowest ?? Math.max(1, range(bounds) * NARROWEST);
  const level = (window) => (window.low + window.high) / 2;
  const width = (window) => window.high - window.low;

  // Brightness and contrast, 0 to 100 each: where the window's middle lies, and how narrow it is.
  const brightness = (window, bounds) => within((100 * (bounds.most - level(window))) / range(bounds), 0, 100);
  const contrast = (window, bounds) => {
    if (range(bounds) <= narrowest(bounds)) return 0; // one or two values: there is nothing to narrow
    const share = Math.log(range(bounds) / width(window)) / Math.log(range(bounds) / narrowest(bounds));
    return within(100 * share, 0, 100);
  };

  // What brightness and contrast reach: the values, and the window shown first wherever it lies. A file's own
  // window may lie partly beyond the values; without it the first touch would jump to where it could be named.
  const reach = (bounds, first) => {
    const wider = { least: Math.min(bounds.least, first.low), most: Math.max(bounds.most, first.high) };
    return { ...wider, narrowest: Math.min(narrowest(bounds), width(first)) };
  };

  const around = (middle, wide, window) => ({ ...window, low: middle - wide / 2, high: middle + wide / 2 });
  const withBrightness = (window, bounds, value) =>
    around(bounds.most - (within(value, 0, 100) * range(bounds)) / 100, width(window), window);
  const withContrast = (window, bounds, value) => {
    const wide = range(bounds) * (narrowest(bounds) / range(bounds)) ** (within(value, 0, 100) / 100);
    return around(level(window), wide, window);
  };

  ulna.gray = { shade, table, level, width, brightness, contrast, withBrightness, withContrast, reach };
})();
