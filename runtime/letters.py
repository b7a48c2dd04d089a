"""Where a picture holds what may be letters: thin, even, sharp-edged marks. Numpy and OpenCV alone.

What is written into a picture differs from anatomy: its strokes have one value, its edges are as sharp as the
pixels allow, and marks of one size stand in a row (runtime.letter_rows).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import value_range

STROKES_PX = (5, 9, 17, 33)
"""Widths that strokes stay below, one after the other, on the working picture."""
_LEAST_SIDE_PX, _MOST_SIDE_PX = 900, 1600
_LEAST_CONTRAST = 14
_LEAST_LETTER_PX, _LEAST_AREA_PX = 7, 10
_LARGEST_STROKES = 7
_CORE = 0.75
_SHARPER_BLUR_PX = 0.7

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Marks:
    """Candidates of one polarity and one width of stroke, on the working picture's grid.

    boxes: (N, 4), x0, y0, x1, y1; the others are (N,). contrast: of the ink against what lies around, of 255.
    unevenness: spread of the ink's values over the contrast, 0 for one value. sharpness: steepness at the
    edge over the contrast, per pixel. fill: share of its box that is ink.
    """

    boxes: Floats
    contrast: Floats
    unevenness: Floats
    sharpness: Floats
    fill: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def only(self, places: NDArray[np.intp]) -> Marks:
        """Some of them."""
        return Marks(*(getattr(self, field.name)[places] for field in fields(self)))


def working_scale(height_px: int, width_px: int) -> float:
    """Working pixels for one of the picture: small letters become large enough, large pictures manageable."""
    side = max(height_px, width_px)
    return min(max(1.0, _LEAST_SIDE_PX / side), _MOST_SIDE_PX / side)


def working(pixels: NDArray[np.uint16], scale: float) -> NDArray[np.uint8]:
    """The picture at the working scale, (h, w) uint8 from its darkest to its brightest values."""
    low, high = value_range(pixels, 0.2, 99.8)
    plane = np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    if scale == 1:
        return np.asarray(plane, np.uint8)
    size = (max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, size, interpolation=how), np.uint8)


def marks(plane: NDArray[np.uint8]) -> list[Marks]:
    """All candidates of a working picture: bright ink and dark, each width of stroke."""
    steep = _steepness(plane)
    shown = (plane, np.asarray(255 - plane, np.uint8))
    return [_of_one_kind(bright, steep, stroke) for bright in shown for stroke in STROKES_PX]


def _steepness(plane: NDArray[np.uint8]) -> Floats:
    soft = cv2.GaussianBlur(plane, (0, 0), _SHARPER_BLUR_PX)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.25)
    return np.asarray(cv2.magnitude(across, cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.25)), np.float32)


def _of_one_kind(bright: NDArray[np.uint8], steep: Floats, stroke_px: int) -> Marks:
    """What stands out in less than a stroke's width, as far as half of its own height."""
    top = cv2.morphologyEx(bright, cv2.MORPH_TOPHAT, np.ones((stroke_px, stroke_px), np.uint8))
    reach = 2 * stroke_px + 1
    peak = cv2.dilate(top, np.ones((reach, reach), np.uint8))
    ink = ((top >= _LEAST_CONTRAST) & (top.astype(np.uint16) * 2 >= peak)).astype(np.uint8)
    count, owner, found, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    wide, high, area = found[:, 2], found[:, 3], found[:, 4]
    size = np.maximum(wide, high)
    kept = (size >= max(_LEAST_LETTER_PX, stroke_px)) & (size <= _LARGEST_STROKES * stroke_px)
    kept &= (area >= _LEAST_AREA_PX) & (np.minimum(wide, high) >= 2)
    kept[0] = False
    contrast, unevenness = _ink_of(bright, top, owner, count)
    edge = (ink > 0) & (cv2.erode(ink, np.ones((3, 3), np.uint8)) == 0)
    sharpness = _means(owner[edge], steep[edge], count) / np.maximum(contrast, 1)
    corners = np.stack([found[:, 0], found[:, 1], found[:, 0] + wide, found[:, 1] + high], axis=1)
    columns = (corners, contrast, unevenness, sharpness, area / np.maximum(wide * high, 1))
    return Marks(*(column[kept].astype(np.float32) for column in columns))


def _ink_of(
    bright: NDArray[np.uint8], top: NDArray[np.uint8], owner: NDArray[np.int32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(contrast, unevenness) of every component, of its strong pixels: its edge is half way to the ground."""
    inked = owner > 0
    whose, tops, values = owner[inked], top[inked].astype(np.float64), bright[inked].astype(np.float64)
    strong = tops >= _CORE * _means(whose, tops, count)[whose]
    whose, tops, values = whose[strong], tops[strong], values[strong]
    contrast = _means(whose, tops, count)
    spread = _means(whose, values**2, count) - _means(whose, values, count) ** 2
    return contrast, np.sqrt(np.maximum(spread, 0)) / np.maximum(contrast, 1)


def _means(whose: NDArray[np.int32], values: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    summed = np.bincount(whose, values.astype(np.float64), count)
    means: NDArray[np.float64] = summed / np.maximum(np.bincount(whose, minlength=count), 1)
    return means
