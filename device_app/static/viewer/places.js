// Marked places of a picture. Pure.
// A place: {image, x0, y0, x1, y1}, corners in the file's pixels, in order. A sheet: {width, height} of a picture.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const LEAST_PX = 2; // of the picture, a side
  const REACH_PX = 28; // of the stage: how near a corner a finger means it
  const within = (value, least, most) => Math.min(Math.max(value, least), most);
  const tenth = (value) => Math.round(value * 10) / 10;

  // A place between two points, null where that is too small to be meant.
  const between = (image, one, other, sheet) => {
    const [x0, x1] = [one.x, other.x].map((x) => tenth(within(x, 0, sheet.width))).sort((a, b) => a - b);
    const [y0, y1] = [one.y, other.y].map((y) => tenth(within(y, 0, sheet.height))).sort((a, b) => a - b);
    return x1 - x0 < LEAST_PX || y1 - y0 < LEAST_PX ? null : { image, x0, y0, x1, y1 };
  };

  // Moved as far as the picture goes; it keeps its size.
  const along = (low, high, by, length) => {
    const from = within(tenth(low + by), 0, Math.max(0, length - (high - low)));
    return [from, Math.min(from + (high - low), length)];
  };
  const shifted = (place, dx, dy, sheet) => {
    const [x0, x1] = along(place.x0, place.x1, dx, sheet.width);
    const [y0, y1] = along(place.y0, place.y1, dy, sheet.height);
    return { ...place, x0, y0, x1, y1 };
  };

  // Corners in their order around a place: 0 is (x0, y0), 1 (x1, y0), 2 (x1, y1), 3 (x0, y1).
  const corners = ({ x0, y0, x1, y1 }) => [{ x: x0, y: y0 }, { x: x1, y: y0 }, { x: x1, y: y1 }, { x: x0, y: y1 }];

  // One corner goes to a point, the opposite one stays; it never comes beyond that.
  const withCorner = (place, corner, point, sheet) => {
    const isRight = corner === 1 || corner === 2;
    const isLow = corner >= 2;
    const x = isRight ? within(point.x, place.x0 + LEAST_PX, sheet.width) : within(point.x, 0, place.x1 - LEAST_PX);
    const y = isLow ? within(point.y, place.y0 + LEAST_PX, sheet.height) : within(point.y, 0, place.y1 - LEAST_PX);
    return { ...place, [isRight ? "x1" : "x0"]: tenth(x), [isLow ? "y1" : "y0"]: tenth(y) };
  };

  // Which corner stands lower right on a stage that shows the picture with so many quarter turns.
  const lowerRight = (turn) => [2, 1, 0, 3][turn];

  const holds = (place, point) => point.x >= place.x0 && point.x <= place.x1 && point.y >= place.y0 && point.y <= place.y1;

  // What a finger at a point of the stage takes hold of: a corner's number, "all" of the place, or null. The
  // middle counts too, so that a place no larger than a finger can be moved.
  const gripAt = (place, toStage, point, onPicture) => {
    const [from, to] = [toStage({ x: place.x0, y: place.y0 }), toStage({ x: place.x1, y: place.y1 })];
    const targets = [...corners(place).map(toStage), { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 }];
    const distances = targets.map((target) => Math.hypot(target.x - point.x, target.y - point.y));
    const nearest = distances.indexOf(Math.min(...distances));
    if (distances[nearest] <= REACH_PX) return nearest < 4 ? nearest : "all";
    return holds(place, onPicture) ? "all" : null;
  };

  // Third by third, row after row: 0 is the upper left of the picture as it lies in its file, 8 the lower right.
  const region = (place, sheet) => {
    const third = (low, high, length) => Math.min(2, Math.floor((3 * (low + high)) / 2 / length));
    return 3 * third(place.y0, place.y1, sheet.height) + third(place.x0, place.x1, sheet.width);
  };

  const same = (one, other) => ["image", "x0", "y0", "x1", "y1"].every((key) => one[key] === other[key]);

  // As the box keeps them, and back.
  const toRows = (places) => places.map(({ image, x0, y0, x1, y1 }) => ({ image_id: image, x0_px: x0, y0_px: y0, x1_px: x1, y1_px: y1 }));
  const fromRows = (rows) => rows.map((row) => ({ image: row.image_id, x0: row.x0_px, y0: row.y0_px, x1: row.x1_px, y1: row.y1_px }));

  ulna.places = { between, shifted, corners, withCorner, lowerRight, holds, gripAt, region, same, toRows, fromRows };
})();
