"""Does a suspected place hit a true fracture box? All boxes are (x0, y0, x1, y1) in one frame of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import FractionBox
from compress.predictions import HIT, MISSED, NOT_ASKED
from runtime.findings import Box

PixelBox = tuple[float, float, float, float]

_MIN_IOU = 0.1
"""Class-activation boxes are coarse: an overlap of a tenth shows a person the right place."""
_PEAK_TOLERANCE = 0.03


def boxes_hit(shown: Iterable[Box], boxes: tuple[FractionBox, ...], width_px: int, height_px: int) -> int:
    """HIT when the strongest box shown has its centre in a true one or overlaps it enough (IoU).

    NOT_ASKED without true boxes; MISSED when nothing is shown.
    """
    if not boxes:
        return NOT_ASKED
    best = max(shown, key=lambda box: box.score, default=None)
    if best is None:
        return MISSED
    found = (best.x0_px, best.y0_px, best.x1_px, best.y1_px)
    true = _to_pixels(boxes, width_px, height_px)
    return HIT if any(_holds_centre(box, found) or iou(found, box) >= _MIN_IOU for box in true) else MISSED


def peak_hits(evidence: NDArray[np.float32], boxes: tuple[FractionBox, ...]) -> int:
    """HIT when the peak of the evidence (h, w) over the source image lies in a true box, or close to one.

    The pointing game of Zhang et al., "Top-down neural attention by excitation backprop", IJCV 126 (2018)
    1084-1102, with its tolerance of about 3% of the long side. NOT_ASKED without boxes.
    """
    if not boxes:
        return NOT_ASKED
    height, width = evidence.shape
    row, column = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
    reach = _PEAK_TOLERANCE * max(height, width)
    x, y = float(column) + 0.5, float(row) + 0.5
    near = (x - reach, y - reach, x + reach, y + reach)
    return HIT if any(intersection(near, box) > 0 for box in _to_pixels(boxes, width, height)) else MISSED


def mean_iou(shown: Iterable[Box], boxes: tuple[FractionBox, ...], width_px: int, height_px: int) -> float:
    """Mean over the true boxes of the overlap (IoU) with the shown box that fits best; 0 for one not found.

    NaN without true boxes.
    """
    if not boxes:
        return math.nan
    found = [(box.x0_px, box.y0_px, box.x1_px, box.y1_px) for box in shown]
    best = [
        max((iou(box, true) for box in found), default=0.0) for true in _to_pixels(boxes, width_px, height_px)
    ]
    return min(1.0, sum(best) / len(best))


def intersection(first: PixelBox, second: PixelBox) -> float:
    """Common area in pixels."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)


def iou(first: PixelBox, second: PixelBox) -> float:
    """Intersection over union, 0 to 1."""
    common = intersection(first, second)
    total = _area(first) + _area(second) - common
    return common / total if total > 0 else 0.0


def _area(box: PixelBox) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _holds_centre(outer: PixelBox, inner: PixelBox) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _to_pixels(boxes: tuple[FractionBox, ...], width_px: int, height_px: int) -> list[PixelBox]:
    return [(x0 * width_px, y0 * height_px, x1 * width_px, y1 * height_px) for x0, y0, x1, y1 in boxes]
