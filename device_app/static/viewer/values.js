// The stored gray values of a picture, as device_app.gray_values packs them.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});

  // Bytes -> Uint16Array of width x height, row after row.
  const unpack = (bytes, width, height) => {
    const count = width * height;
    if (bytes.length !== 2 * count) throw new Error(`${bytes.length} bytes of values, expected ${2 * count}`);
    const values = new Uint16Array(count);
    for (let at = 0; at < count; at++) {
      const folded = bytes[at] | (bytes[count + at] << 8);
      const step = (folded >>> 1) ^ -(folded & 1);
      values[at] = at < width ? step : values[at - width] + step;
    }
    return values;
  };

  const fetchValues = async (address, width, height) => {
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(30000) });
    if (!answer.ok) throw new Error(String(answer.status));
    return unpack(new Uint8Array(await answer.arrayBuffer()), width, height);
  };

  ulna.values = { unpack, fetchValues };
})();
