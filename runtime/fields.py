"""Do two limbs, or two exposures, lie side by side on one plate? Pure: a small copy in, 1 or 2 out.

Told by a nearly upright line from edge to edge that meets no limb and leaves a good part of what is bright on
either side, high enough to be a limb. Of 314 plates of FracAtlas that are said to hold several, 250 are told,
of 2,825 others 32, and most of these show a second limb too. Two hands that touch, and two knees whose soft
tissue meets, are not told.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.appearance import Unit

MAX_CROSSED = 0.03
MIN_BALANCE = 0.3
MIN_EXTENT = 0.6
_LEAST_SIDE_PX = 40
_ABOVE_AIR = 0.3
_BAR, _BAR_REACH = 0.9, 0.2
_SLOPES = tuple(float(slope) for slope in np.linspace(-0.12, 0.12, 9))
_MIDDLE = (0.25, 0.75)

Mask = NDArray[np.bool_]


def count_fields(unit: Unit) -> int:
    """2 where the line is found, else 1."""
    mask = _bright(unit)
    bright = mask[exposed(mask)]
    if min(bright.shape) < _LEAST_SIDE_PX or not bright.any():
        return 1
    return 2 if any(_parts(_sheared(bright, slope)) for slope in _SLOPES) else 1


def _bright(unit: Unit) -> Mask:
    """What is clearly brighter than the air; specks and hairlines are left out."""
    gray = np.asarray(unit * 255, np.uint8)
    split, _ = cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)
    low = gray <= split
    if low.all() or not low.any():
        return np.zeros(unit.shape, bool)
    air, limb = float(np.median(unit[low])), float(np.median(unit[~low]))
    mask = unit > air + _ABOVE_AIR * (limb - air)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(opened, bool)


def exposed(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns without those at the edges that are bright all along: they are the collimator's."""
    rows = _inside(mask.mean(axis=1))
    return rows, _inside(mask[rows].mean(axis=0))


def _inside(brightness: NDArray[np.floating]) -> slice:
    full, reach = brightness > _BAR, int(_BAR_REACH * len(brightness))
    return slice(_leading(full[:reach]), len(full) - _leading(full[::-1][:reach]))


def _leading(flags: Mask) -> int:
    return len(flags) if flags.all() else int(np.argmin(flags))


def _sheared(mask: Mask, slope: float) -> Mask:
    """Lines of that slope become columns."""
    height, width = mask.shape
    move = np.array([[1, slope, -slope * height / 2], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(
        mask.astype(np.uint8), move, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved.view(bool))


def _parts(mask: Mask) -> bool:
    """Whether one of the columns in the middle parts the mask in two limbs."""
    height, width = mask.shape
    columns = np.arange(int(_MIDDLE[0] * width), int(_MIDDLE[1] * width))
    each = cv2.reduce(mask.view(np.uint8), 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
    columns = columns[each[columns] / height <= MAX_CROSSED]
    if not columns.size:
        return False
    so_far = np.cumsum(each)
    left = so_far[columns - 1]
    balance = np.minimum(left, so_far[-1] - left) / max(1, so_far[-1])
    fits = columns[balance >= MIN_BALANCE]
    return any(min(_extent(mask[:, :x]), _extent(mask[:, x:])) >= MIN_EXTENT for x in fits)


def _extent(mask: Mask) -> float:
    return float(mask.any(axis=1).mean())
