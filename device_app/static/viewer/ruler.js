// The length between two points of the picture. Pure.
// A ruler: {ends: [], held}: none to two points in the file's pixels, and which of them arrows move.
// A scale: {rowMm, columnMm}, the distance of two rows and of two columns, or null where no file says it.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const empty = () => ({ ends: [], held: 0 });

  const length = (from, to, scale) => {
    const [across, down] = [to.x - from.x, to.y - from.y];
    return scale ? Math.hypot(across * scale.columnMm, down * scale.rowMm) : Math.hypot(across, down);
  };

  const inside = (point, place) => ({
    x: Math.min(Math.max(point.x, 0), place.width),
    y: Math.min(Math.max(point.y, 0), place.height),
  });

  // A touch: the first end, then the second, then a new ruler.
  const touched = (ruler, point, place) => {
    const end = inside(point, place);
    return ruler.ends.length === 1 ? { ends: [ruler.ends[0], end], held: 1 } : { ends: [end], held: 0 };
  };

  const withEnd = (ruler, number, point, place) => ({
    ends: ruler.ends.map((end, index) => (index === number ? inside(point, place) : end)),
    held: number,
  });

  const other = (ruler) => ({ ...ruler, held: ruler.ends.length === 2 ? 1 - ruler.held : 0 });

  // The end of the ruler nearest to a point of the stage, if a finger there could mean it.
  const REACH_PX = 28;
  const endAt = (ruler, toStage, point) => {
    const distances = ruler.ends.map((end) => {
      const at = toStage(end);
      return Math.hypot(at.x - point.x, at.y - point.y);
    });
    const nearest = distances.indexOf(Math.min(...distances));
    return nearest >= 0 && distances[nearest] <= REACH_PX ? nearest : null;
  };

  const figure = (value, scale) =>
    value.toLocaleString(document.documentElement.lang || undefined, {
      minimumFractionDigits: scale ? 1 : 0,
      maximumFractionDigits: scale ? 1 : 0,
    });

  ulna.ruler = { empty, length, touched, withEnd, other, endAt, figure };
})();
