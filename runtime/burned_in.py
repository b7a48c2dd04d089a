"""Writing in the pixels of a radiograph: found, and blanked where it lies beside the limb.

Writing that lies over the limb cannot be blanked without touching what the picture is there to show: such a
picture has `over` set, and its pixels must not leave. What is found and what is missed is measured by
benchmarks.burned_in; this is a help for somebody who looks at every picture, never a promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime import letter_rows, letter_trees, letters

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the picture."""
IS_WRITING = 0.5
"""From this score on a row is writing, wherever it lies."""
_IS_WRITING_BESIDE = 0.15
"""Beside the limb blanking costs little, so that less is asked there."""
_MARK_CONTRAST, _MARK_SHARPNESS, _MARK_UNEVENNESS, _MARK_SIZE_PX = 30.0, 0.35, 0.3, 64
_LONE_STROKES_PX = (5, 9, 17)
_FRAME_PX = 3
_NEAR_GROUND = 12
"""Of 255: what a mark alone stands on must be air."""
_REACH = 0.6
"""How far round a mark is blanked, in its sizes: letters that were missed stand beside those found."""
_LIMB_SIDE_PX = 256
_LIMB_SHARE = 0.015
_ABOVE_GROUND = 0.22
_MARGIN_PX = 5
_INK_CONTRAST, _LEAST_CONTRAST = 128, letter_rows.FEATURES.index("least contrast")
"""Bones of a finger stand out from it too, but not by half of the picture's range."""
_SOFT_PX = 2
"""So far beyond its box a mark's ink may still fade."""
_RING_PX = 9

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found. pixels: (H, W) uint16, blanked where `blanked` says. blanked, over: boxes round writing
    beside the limb, which is gone, and over the limb or a kept place, which is not.
    """

    pixels: NDArray[np.uint16]
    blanked: tuple[Corners, ...] = ()
    over: tuple[Corners, ...] = ()


@dataclass(frozen=True, eq=False)
class _Found:
    """In one ink and one width of stroke, on the working picture: rows that may be writing with their scores,
    and marks that are some though they stand alone. ink: of both, what is certainly no limb.
    """

    rows: tuple[tuple[np.floating, letters.Floats], ...]
    alone: letters.Floats
    ink: letters.Floats


def without_writing(pixels: NDArray[np.uint16], kept: Sequence[Corners] = ()) -> Looked:
    """Look at a picture (H, W), bone bright. kept: places that must stay as they are, fractures above all."""
    scale = letters.working_scale(*pixels.shape)
    plane = letters.working(pixels, scale)
    found = _looked_for(plane)
    limb = limb_mask(_without_ink(plane, found)) | _boxes_mask(plane.shape, kept, scale)
    beside, over = _parted(found, limb)
    blank = _grown(beside, pixels.shape)
    clean = _filled(pixels, blank) if blank.any() else pixels
    return Looked(clean, _boxes_of(blank, 1.0), _boxes_of(over, scale))


def limb_mask(plane: NDArray[np.uint8]) -> Mask:
    """(h, w) of a working picture: the limb, and whatever else is large and brighter than the ground."""
    height, width = plane.shape
    scale = min(1.0, _LIMB_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.GaussianBlur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    ground, parted = _ground(np.asarray(small, np.uint8))
    bright = (small > ground + max(8.0, _ABOVE_GROUND * (parted - ground))).astype(np.uint8)
    _, owner, found, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    large = found[:, cv2.CC_STAT_AREA] >= _LIMB_SHARE * small.size
    large[0] = False
    limb = cv2.dilate(large[owner].astype(np.uint8), np.ones((_MARGIN_PX, _MARGIN_PX), np.uint8))
    return np.asarray(cv2.resize(limb, (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def _ground(plane: NDArray[np.uint8]) -> tuple[int, int]:
    """The commonest dark value, which is air, and the value that parts dark from bright (Otsu)."""
    parted, _ = cv2.threshold(plane, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    counts = np.bincount(plane.ravel(), minlength=256)[: max(int(parted), 1)].astype(np.float64)
    return int(np.argmax(np.convolve(counts, np.ones(5), mode="same"))), int(parted)


def _looked_for(plane: NDArray[np.uint8]) -> tuple[_Found, ...]:
    """Of bright ink first, as letters.marks has it."""
    ground, _ = _ground(plane)
    kinds = zip(letters.STROKES_PX * 2, letters.marks(plane), strict=True)
    return tuple(_of_one_kind(plane, marks, stroke, ground) for stroke, marks in kinds)


def _of_one_kind(plane: NDArray[np.uint8], marks: letters.Marks, stroke: int, ground: int) -> _Found:
    rows = letter_rows.rows(marks, stroke)
    scores = letter_trees.shipped().scores(rows.features)
    likely = [place for place, score in enumerate(scores) if score >= _IS_WRITING_BESIDE]
    found = tuple((scores[row], rows.members[row]) for row in likely)
    if stroke not in _LONE_STROKES_PX:
        return _Found(found, marks.boxes[:0], marks.boxes[:0])
    lone = _lone(plane, marks, ground)
    strong = [row for row in likely if rows.features[row, _LEAST_CONTRAST] >= _INK_CONTRAST]
    ink = [marks.boxes[lone[marks.contrast[lone] >= _INK_CONTRAST]], *(rows.members[row] for row in strong)]
    return _Found(found, marks.boxes[lone], np.concatenate(ink))


def _lone(plane: NDArray[np.uint8], marks: letters.Marks, ground: int) -> NDArray[np.intp]:
    """Places of marks that are alone and yet no anatomy: a side's letter in the air."""
    places = np.flatnonzero(_is_mark(marks))
    on_air = [_stands_on_air(plane, _whole(box), ground) for box in marks.boxes[places]]
    return np.asarray(places[np.array(on_air, bool)], np.intp)


def _without_ink(plane: NDArray[np.uint8], found: Sequence[_Found]) -> NDArray[np.uint8]:
    """The picture in which bright ink is no part of a limb that it stands close to."""
    clean = plane.copy()
    for stroke, one in zip(letters.STROKES_PX, found, strict=False):
        if len(one.ink):
            bare = cv2.morphologyEx(plane, cv2.MORPH_OPEN, np.ones((stroke, stroke), np.uint8))
            for x0, y0, x1, y1 in map(_whole, one.ink):
                part = np.s_[max(0, y0 - _SOFT_PX) : y1 + _SOFT_PX, max(0, x0 - _SOFT_PX) : x1 + _SOFT_PX]
                clean[part] = np.minimum(clean[part], bare[part])
    return clean


def _parted(found: Sequence[_Found], limb: Mask) -> tuple[Mask, Mask]:
    """Masks of the working picture: writing beside the limb, and over it."""
    beside, over = np.zeros(limb.shape, np.uint8), np.zeros(limb.shape, np.uint8)
    for one in found:
        for score, members in one.rows:
            hull = _hull(members)
            if not _touches(hull, limb):
                _paint(beside, hull)
            elif score >= IS_WRITING:
                _paint(over, hull)
        for member in one.alone:
            hull = _hull(member[None])
            if not _touches(hull, limb):
                _paint(beside, hull)
    return beside > 0, over > 0


def _is_mark(marks: letters.Marks) -> NDArray[np.bool_]:
    sharp = (marks.sharpness >= _MARK_SHARPNESS) & (marks.unevenness <= _MARK_UNEVENNESS)
    size = (marks.boxes[:, 2:] - marks.boxes[:, :2]).max(axis=1, initial=0)
    return np.asarray(sharp & (marks.contrast >= _MARK_CONTRAST) & (size <= _MARK_SIZE_PX))


def _whole(box: letters.Floats) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(value) for value in box)
    return x0, y0, x1, y1


def _stands_on_air(plane: NDArray[np.uint8], box: tuple[int, int, int, int], ground: int) -> bool:
    """By the frame of pixels a little away from it; one at the picture's own frame does not."""
    x0, y0, x1, y1 = box
    high, wide = plane.shape
    if min(x0, y0) < _FRAME_PX or x1 > wide - _FRAME_PX or y1 > high - _FRAME_PX:
        return False
    away = 6
    part = plane[max(0, y0 - away) : y1 + away, max(0, x0 - away) : x1 + away]
    frame = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    return bool(abs(float(np.median(frame)) - ground) <= _NEAR_GROUND)


def _hull(members: NDArray[np.float32]) -> NDArray[np.int32]:
    """(n, 2) round all of them and some way beyond."""
    reach = _REACH * float(np.median((members[:, 2:] - members[:, :2]).max(axis=1))) + 2
    low, high = members[:, :2] - reach, members[:, 2:] + reach
    points = np.concatenate(
        [low, high, np.stack([low[:, 0], high[:, 1]], 1), np.stack([high[:, 0], low[:, 1]], 1)]
    )
    return np.asarray(cv2.convexHull(points.astype(np.int32))[:, 0], np.int32)


def _touches(hull: NDArray[np.int32], limb: Mask) -> bool:
    x0, y0 = np.maximum(hull.min(axis=0), 0)
    x1, y1 = hull.max(axis=0) + 1
    below = limb[y0:y1, x0:x1]
    if not below.any():
        return False
    inside = np.zeros(below.shape, np.uint8)
    cv2.fillConvexPoly(inside, hull - np.array([x0, y0], np.int32), 1)
    return bool((below & (inside > 0)).any())


def _paint(mask: NDArray[np.uint8], hull: NDArray[np.int32]) -> None:
    cv2.fillConvexPoly(mask, hull, 1)


def _boxes_mask(shape: tuple[int, ...], boxes: Iterable[Corners], scale: float) -> Mask:
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        left, top = max(0, int(x0 * scale)), max(0, int(y0 * scale))
        mask[top : max(top, int(np.ceil(y1 * scale))), left : max(left, int(np.ceil(x1 * scale)))] = True
    return mask


def _grown(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """At the picture's own size, no pixel smaller."""
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0)


def _filled(pixels: NDArray[np.uint16], blank: Mask) -> NDArray[np.uint16]:
    """Each blanked place has the value of its own border."""
    clean = pixels.copy()
    count, owner, found, _ = cv2.connectedComponentsWithStats(blank.astype(np.uint8), connectivity=8)
    for place in range(1, count):
        x, y, wide, high = (int(value) for value in found[place, :4])
        part = np.s_[max(0, y - _RING_PX) : y + high + _RING_PX, max(0, x - _RING_PX) : x + wide + _RING_PX]
        own = owner[part] == place
        kernel = np.ones((2 * _RING_PX - 1, 2 * _RING_PX - 1), np.uint8)
        ring = (cv2.dilate(own.astype(np.uint8), kernel) > 0) & ~blank[part]
        around = pixels[part][ring] if ring.any() else pixels[~blank]
        clean[part][own] = np.uint16(np.median(around)) if around.size else np.uint16(0)
    return clean


def _boxes_of(mask: Mask, scale: float) -> tuple[Corners, ...]:
    """Round every connected place, in pixels of the picture."""
    _, _, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return tuple(
        (float(x / scale), float(y / scale), float((x + wide) / scale), float((y + high) / scale))
        for x, y, wide, high, _ in found[1:].tolist()
    )
