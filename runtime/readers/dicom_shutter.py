"""What a display shutter hides (DICOM PS3.3 C.7.6.11): the edges of the plate, which no ray has reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.readers.dicom_facts import integer

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MOST_VERTICES = 1000
_FURTHEST_PX = 1 << 20


def hidden(dataset: Dataset, height_px: int, width_px: int) -> NDArray[np.bool_] | None:
    """(H, W), True where a shutter covers the picture; None without one.

    Several shapes cover whatever any of them covers. Rows and columns are counted from 1, the edges
    themselves are seen. A shape that says nothing sensible is passed over, as is a shutter that would hide
    everything.
    """
    shapes = dataset.get("ShutterShape")
    if not shapes:
        return None
    names = [shapes] if isinstance(shapes, str) else list(shapes)
    seen = np.ones((height_px, width_px), np.uint8)
    for name, draw in (("RECTANGULAR", _rectangle), ("CIRCULAR", _circle), ("POLYGONAL", _polygon)):
        opening = np.zeros_like(seen)
        if name in names and draw(dataset, opening):
            seen &= opening
    return seen == 0 if 0 < int(np.count_nonzero(seen)) < seen.size else None


def _rectangle(dataset: Dataset, opening: NDArray[np.uint8]) -> bool:
    height, width = opening.shape
    left, right = _edges(dataset, ("ShutterLeftVerticalEdge", "ShutterRightVerticalEdge"), width)
    top, bottom = _edges(dataset, ("ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge"), height)
    opening[top - 1 : bottom, left - 1 : right] = 1
    return left <= right and top <= bottom


def _edges(dataset: Dataset, keywords: tuple[str, str], size_px: int) -> tuple[int, int]:
    first, last = integer(dataset, keywords[0], 1), integer(dataset, keywords[1], size_px)
    return max(first, 1), min(last, size_px)


def _circle(dataset: Dataset, opening: NDArray[np.uint8]) -> bool:
    center, radius = (
        _numbers(dataset, "CenterOfCircularShutter"),
        integer(dataset, "RadiusOfCircularShutter", 0),
    )
    if len(center) != 2 or not 0 < radius < _FURTHEST_PX:
        return False
    row, column = center
    cv2.circle(opening, (column - 1, row - 1), radius, 1, cv2.FILLED)
    return True


def _polygon(dataset: Dataset, opening: NDArray[np.uint8]) -> bool:
    values = _numbers(dataset, "VerticesOfThePolygonalShutter")
    if len(values) < 6 or len(values) % 2 or len(values) > 2 * _MOST_VERTICES:
        return False
    vertices = np.array(values, np.int32).reshape(-1, 2)[:, ::-1] - 1  # written as row and column
    cv2.fillPoly(opening, [np.ascontiguousarray(vertices)], 1)
    return True


def _numbers(dataset: Dataset, keyword: str) -> list[int]:
    """Whole numbers near the picture, none where one of them is anything else."""
    try:
        values = [int(value) for value in dataset.get(keyword) or ()]
    except Exception:  # absent or malformed
        return []
    return values if all(abs(value) < _FURTHEST_PX for value in values) else []
