// Where each point of the picture is on the stage. Pure: every function gives a new view.
// A view: {zoom, x, y, turn}. zoom: 1 shows the whole picture, which is the least. x, y: the picture's point,
// in the file's pixels, in the middle of the stage. turn: quarter turns clockwise, 0 to 3.
// A place: {width, height, aspect, stageWidth, stageHeight}, the picture's in its pixels, the stage's in CSS
// pixels. aspect: a pixel's height as a multiple of its width, 1 where it is left out.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const MOST_PX = 8; // CSS pixels for one pixel of the picture
  const COS = [1, 0, -1, 0];
  const SIN = [0, 1, 0, -1];
  const within = (value, least, most) => Math.min(Math.max(value, least), most);

  const whole = (place) => ({ zoom: 1, x: place.width / 2, y: place.height / 2, turn: 0 });

  const aspectOf = (place) => place.aspect ?? 1;

  const fitScale = (place, turn) => {
    const [across, down] = [place.width, place.height * aspectOf(place)];
    const [width, height] = turn % 2 ? [down, across] : [across, down];
    return Math.min(place.stageWidth / width, place.stageHeight / height);
  };

  // CSS pixels for the width of one pixel of the picture.
  const scaleOf = (view, place) => fitScale(place, view.turn) * view.zoom;

  const mostZoom = (place, turn) => Math.max(4, MOST_PX / fitScale(place, turn));

  // A vector of the picture, turned and enlarged as on the stage, and back.
  const onStage = (view, place, dx, dy) => {
    const [scale, down] = [scaleOf(view, place), dy * aspectOf(place)];
    return { x: scale * (COS[view.turn] * dx - SIN[view.turn] * down), y: scale * (SIN[view.turn] * dx + COS[view.turn] * down) };
  };
  const onPicture = (view, place, dx, dy) => {
    const scale = scaleOf(view, place);
    const down = (COS[view.turn] * dy - SIN[view.turn] * dx) / scale;
    return { x: (COS[view.turn] * dx + SIN[view.turn] * dy) / scale, y: down / aspectOf(place) };
  };

  const toStage = (view, place, point) => {
    const off = onStage(view, place, point.x - view.x, point.y - view.y);
    return { x: place.stageWidth / 2 + off.x, y: place.stageHeight / 2 + off.y };
  };
  const toPicture = (view, place, point) => {
    const off = onPicture(view, place, point.x - place.stageWidth / 2, point.y - place.stageHeight / 2);
    return { x: view.x + off.x, y: view.y + off.y };
  };

  // The picture covers the stage wherever it is large enough to, else it stands in the middle.
  const kept = (view, place) => {
    const zoom = within(view.zoom, 1, mostZoom(place, view.turn));
    const half = onPicture({ ...view, zoom }, place, place.stageWidth / 2, place.stageHeight / 2);
    const [halfWidth, halfHeight] = [Math.abs(half.x), Math.abs(half.y)];
    const middle = (at, reach, length) => (2 * reach >= length ? length / 2 : within(at, reach, length - reach));
    return { ...view, zoom, x: middle(view.x, halfWidth, place.width), y: middle(view.y, halfHeight, place.height) };
  };

  // Enlarge so that what is at one point of the stage comes to another.
  const pinched = (view, place, factor, from, to) => {
    const fixed = toPicture(view, place, from);
    const zoom = within(view.zoom * factor, 1, mostZoom(place, view.turn));
    const off = onPicture({ ...view, zoom }, place, to.x - place.stageWidth / 2, to.y - place.stageHeight / 2);
    return kept({ ...view, zoom, x: fixed.x - off.x, y: fixed.y - off.y }, place);
  };
  const zoomed = (view, place, factor, point) => pinched(view, place, factor, point, point);

  // The picture follows a finger that has moved by dx, dy on the stage.
  const moved = (view, place, dx, dy) => {
    const off = onPicture(view, place, dx, dy);
    return kept({ ...view, x: view.x - off.x, y: view.y - off.y }, place);
  };

  const turned = (view, place, quarters) => kept({ ...view, turn: (view.turn + quarters + 4) % 4 }, place);

  // a to f of a transformation from the picture's pixels to the stage's.
  const matrix = (view, place) => {
    const [right, down] = [onStage(view, place, 1, 0), onStage(view, place, 0, 1)];
    const origin = toStage(view, place, { x: 0, y: 0 });
    return [right.x, right.y, down.x, down.y, origin.x, origin.y];
  };

  // The same for what stands at a point of the picture and keeps its size and its upright way on the stage.
  const upright = (view, place, point) => {
    const [right, down] = [onPicture(view, place, 1, 0), onPicture(view, place, 0, 1)];
    return [right.x, right.y, down.x, down.y, point.x, point.y];
  };

  ulna.geometry = { whole, kept, pinched, zoomed, moved, turned, toStage, toPicture, matrix, upright, scaleOf };
})();
