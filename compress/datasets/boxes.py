"""Boxes round fractures: as fractions of the image, from whatever a source writes them in."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from compress.datasets.base import FractionBox

_LEAST_INSIDE = 0.5  # share of a box's area; annotators draw over the edge, nobody draws beside the image
_SAME_PLACE_IOU = 0.5


def parse_json_boxes(text: str, faults: list[str]) -> tuple[FractionBox, ...]:
    """A JSON list of [x0, y0, x1, y1] in fractions; what is wrong with it is added to `faults`."""
    if not text:
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        faults.append("boxes is not JSON")
        return ()
    if not isinstance(value, list):
        faults.append("boxes must be a list of [x0, y0, x1, y1]")
        return ()
    boxes = []
    for item in value:
        if _is_box(item):
            boxes.append((float(item[0]), float(item[1]), float(item[2]), float(item[3])))
        else:
            faults.append(
                f"box {str(item)[:60]} is not [x0, y0, x1, y1] with 0 <= x0 < x1 <= 1, 0 <= y0 < y1 <= 1"
            )
    return tuple(boxes)


def clipped(corners: Sequence[float], width: float = 1.0, height: float = 1.0) -> FractionBox:
    """The part inside the image of a box (x0, y0, x1, y1); the image has width x height of the same units.

    Raises ValueError for values that are no box, and for one that lies for the most part outside.
    """
    if len(corners) != 4 or not all(math.isfinite(value) for value in corners):
        raise ValueError(f"box {_shown(corners)} is not four finite numbers")
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise ValueError(f"an image of {width:g} x {height:g} holds no boxes")
    x0, y0, x1, y1 = (
        corners[0] / width,
        corners[1] / height,
        corners[2] / width,
        corners[3] / height,
    )
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0))
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"box {_shown(corners)} has no area")
    if not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise ValueError(f"box {_shown(corners)} lies outside the image")
    if _area(inside) < _LEAST_INSIDE * (x1 - x0) * (y1 - y0):
        raise ValueError(f"box {_shown(corners)} lies for the most part outside the image")
    return inside


def iou(first: FractionBox, second: FractionBox) -> float:
    """Intersection over union, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(first) + _area(second) - shared)


def same_places(first: Sequence[FractionBox], second: Sequence[FractionBox]) -> bool:
    """Whether two readers marked the same number of boxes, each with a partner of IoU >= 0.5."""
    if len(first) != len(second):
        return False
    overlaps = [[iou(one, other) >= _SAME_PLACE_IOU for other in second] for one in first]
    return all(map(any, overlaps)) and all(map(any, zip(*overlaps, strict=True)))


def _is_box(item: Any) -> bool:
    if not isinstance(item, list) or len(item) != 4:
        return False
    if not all(type(value) in (int, float) and math.isfinite(value) for value in item):
        return False
    x0, y0, x1, y1 = item
    return bool(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1)


def _area(box: FractionBox) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shown(corners: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in corners[:6]) + "]"
