"""Where the edges of something four-sided lie in a photograph, to parts of a pixel. Pure.

Along each side light is followed from inside to outside on many short paths. Where it changes most is a place
of the edge; a straight line must go through most of these places.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.photograph_plane import Corners

Gray = NDArray[np.float32]
_PATHS = 96
_ENDS = 0.08
"""Of a side at either end, where corners may be round."""
_PAIRS = 24
_NEAR_PX = 1.6
_REFITS = 3


@dataclass(frozen=True, eq=False)
class Outline:
    """corners: where the four lines meet. support: (4,), for each side the share of its paths on which light
    changes at the line.
    """

    corners: Corners
    support: NDArray[np.float64]


def outline(gray: Gray, corners: Corners, reach_px: float, darker: bool, least_step: float) -> Outline | None:
    """The outline near these corners, None where the lines make no quadrilateral.

    darker: whether the inside is. least_step: gray values from one pixel to the next but one that count.
    """
    sides = [_side(gray, corners, side, reach_px, darker, least_step) for side in range(4)]
    lines = [side[0] for side in sides]
    found = [_meet(lines[side - 1], lines[side]) for side in range(4)]
    if any(point is None for point in found):
        return None
    return Outline(np.array(found), np.array([side[1] for side in sides]))


def profiles(gray: Gray, corners: Corners, side: int, reach_px: float) -> tuple[Gray, NDArray[np.float64]]:
    """(paths, 2 * reach + 1): gray values from the inside outwards, a pixel apart; and where paths begin,
    on the line from one corner to the next.
    """
    start, end = corners[side], corners[(side + 1) % 4]
    along = np.linspace(_ENDS, 1 - _ENDS, _PATHS)
    feet = start + along[:, None] * (end - start)
    out = _outward(start, end)
    steps = np.arange(-round(reach_px), round(reach_px) + 1)
    x = feet[:, :1] + steps * out[0] - 0.5
    y = feet[:, 1:] + steps * out[1] - 0.5
    seen = cv2.remap(
        gray, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32), feet


def _outward(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners go clockwise on a screen, so that the outside is on the left hand."""
    along = (end - start) / np.linalg.norm(end - start)
    return np.array([along[1], -along[0]])


def _side(
    gray: Gray, corners: Corners, side: int, reach_px: float, darker: bool, least_step: float
) -> tuple[NDArray[np.float64], float]:
    """The line (a, b, c) with a x + b y = c, and its support."""
    seen, feet = profiles(gray, corners, side, reach_px)
    change = (seen[:, 2:] - seen[:, :-2]) * (1 if darker else -1)
    best = np.argmax(change, axis=1)
    step = np.take_along_axis(change, best[:, None], axis=1)[:, 0]
    offset = best + 1 - (seen.shape[1] // 2) + _between(change, best)
    level = _line_of(offset, step >= least_step)
    on = (np.abs(offset - level) < _NEAR_PX) & (step >= least_step)
    out = _outward(corners[side], corners[(side + 1) % 4])
    line = _through(feet + level[:, None] * out)
    return line, float(on.mean())


def _between(change: Gray, best: NDArray[np.integer]) -> NDArray[np.float64]:
    """Where the top of a parabola through the greatest change and its neighbours lies."""
    padded = np.pad(change, ((0, 0), (1, 1)), mode="edge").astype(np.float64)
    rows = np.arange(len(best))
    left, top, right = (padded[rows, best + shift] for shift in (0, 1, 2))
    bend = left - 2 * top + right
    return np.asarray(np.clip(0.5 * (left - right) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5))


def _line_of(offset: NDArray[np.float64], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Offsets on the straight line that most of those that count lie near to."""
    place = np.linspace(-1.0, 1.0, len(offset))
    if counts.sum() < 2:
        return np.zeros_like(offset)
    some = np.flatnonzero(counts)[:: max(1, int(counts.sum()) // _PAIRS)]
    first, second = np.triu_indices(len(some), 1)
    first, second = some[first], some[second]
    slope = (offset[second] - offset[first]) / (place[second] - place[first])
    lines = offset[first, None] + slope[:, None] * (place - place[first, None])
    near = (np.abs(lines - offset) < _NEAR_PX) & counts
    level = lines[int(np.argmax(near.sum(axis=1)))]
    for _ in range(_REFITS):
        on = (np.abs(level - offset) < _NEAR_PX) & counts
        if on.sum() < 2:
            break
        level = np.polyval(np.polyfit(place[on], offset[on], 1), place)
    return np.asarray(level)


def _through(points: NDArray[np.float64]) -> NDArray[np.float64]:
    along = points[-1] - points[0]
    normal = np.array([along[1], -along[0]]) / np.linalg.norm(along)
    return np.array([*normal, normal @ points[0]])


def _meet(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64] | None:
    lines = np.array([one[:2], other[:2]])
    if abs(np.linalg.det(lines)) < 0.3:
        return None
    return np.asarray(np.linalg.solve(lines, [one[2], other[2]]))
