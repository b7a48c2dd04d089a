"""Find the films in a photograph: dark quadrilaterals with light around them, or bright ones in the dark.

Every gray level cuts a picture into dark and bright regions. A film's edge is the edge of one at some levels;
what decides is not the region, which clear film, a label or a limb at the border eats into, but whether light
steps along all four straight sides around it (runtime.photograph_edges).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.photograph_edges import Gray, Outline, outline
from runtime.photograph_plane import Corners, area_of, in_order, is_plausible

_SIDE_PX = 800
_LEVELS = 14
_LEAST_SHARE = 0.025
"""Of the picture's area. A film that small is found only to be told to be so."""
_LEAST_OF_LARGEST = 0.15
"""Of the largest film's area: what is smaller is none."""
_MOST_SHARE = 0.985
_SOFT_PX = 1.0
_LEAST_STEP = 5.0
_LEAST_SUPPORT = 0.55
_LEAST_MEAN_SUPPORT = 0.72
_REACH = 0.035
_FINE_REACH = 0.012
_OUTSIDE = 0.004
"""Of the long side by which a corner may lie outside of the picture."""
_NEAR_CORNERS = 0.9
_BOX_BRIGHT = 0.8
_BOX_SHARE = 0.85
_BEYOND = 0.02


@dataclass(frozen=True, eq=False)
class Film:
    """corners: in pixels of the photograph. support: of the weakest side, see Outline. darker: than what is
    around it.
    """

    corners: Corners
    support: float
    darker: bool


def find_films(pixels: NDArray[np.uint8]) -> list[Film]:
    """All that lie apart, the largest first; of those one within another the outermost.

    What is darker than its surroundings goes first: a light box without a film is brighter too.
    """
    scale = min(1.0, _SIDE_PX / max(pixels.shape))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    gray = np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), _SOFT_PX), np.float32)
    for darker in (True, False):
        found = _apart(list(_outlined(gray, small, darker)))
        if found:
            return [Film(film.corners / scale, film.support, darker) for film in found]
    return []


def _outlined(gray: Gray, small: NDArray[np.uint8], darker: bool) -> Iterator[Film]:
    seen: list[Corners] = []
    for corners in _quadrilaterals(small, darker):
        if any(np.abs(corners - other).max() < 3 for other in seen):
            continue
        seen.append(corners)
        film = _verified(gray, corners, darker)
        if film is not None:
            yield film


def _quadrilaterals(small: NDArray[np.uint8], darker: bool) -> Iterator[Corners]:
    """Of the regions at every level."""
    low, high = np.percentile(small, [2, 99])
    area = small.size
    for level in np.linspace(low, high, _LEVELS + 2)[1:-1]:
        mask = ((small < level) if darker else (small >= level)).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        regions, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for region in regions:
            hull = cv2.convexHull(region)
            if _LEAST_SHARE * area < cv2.contourArea(hull) < _MOST_SHARE * area:
                corners = _four_of(hull)
                if corners is not None:
                    yield corners


def _four_of(hull: NDArray[np.int32]) -> Corners | None:
    """The hull with all but four corners smoothed away."""
    length = cv2.arcLength(hull, True)
    for share in np.linspace(0.01, 0.12, 23):
        points = cv2.approxPolyDP(hull, share * length, True)
        if len(points) <= 4:
            break
    if len(points) != 4:
        return None
    corners = in_order(points.reshape(4, 2) + 0.5)
    return corners if is_plausible(corners) else None


def _verified(gray: Gray, corners: Corners, darker: bool) -> Film | None:
    """With its edges found twice, from further and from nearer."""
    found: Outline | None = None
    for share in (_REACH, _FINE_REACH, _FINE_REACH):
        reach_px = max(3.0, share * float(np.linalg.norm(corners[2] - corners[0])))
        found = outline(gray, corners, reach_px, darker, _LEAST_STEP)
        if found is None or not is_plausible(found.corners):
            return None
        corners = found.corners
    assert found is not None
    if found.support.min() < _LEAST_SUPPORT or found.support.mean() < _LEAST_MEAN_SUPPORT:
        return None
    if not _is_inside(corners, gray.shape) or area_of(corners) < _LEAST_SHARE * gray.size:
        return None
    if not darker and _is_light_box(gray, corners):
        return None
    return Film(corners, float(found.support.min()), darker)


def _is_inside(corners: Corners, shape: tuple[int, ...]) -> bool:
    size = np.array([shape[1], shape[0]])
    slack = _OUTSIDE * max(shape)
    return bool((corners > -slack).all() and (corners < size + slack).all())


def _is_light_box(gray: Gray, corners: Corners) -> bool:
    """Whether nearly all just within the edges is as bright as anything: no picture's border is."""
    middle = corners.mean(axis=0)
    outer, inner = (middle + (corners - middle) * (1 - share * _BEYOND) for share in (1, 3))
    ring = np.zeros(gray.shape, np.uint8)
    cv2.fillConvexPoly(ring, outer.astype(np.int32), 1)
    cv2.fillConvexPoly(ring, inner.astype(np.int32), 0)
    bright = gray[ring > 0] > _BOX_BRIGHT * np.percentile(gray, 99.5)
    return bright.size == 0 or bool(bright.mean() > _BOX_SHARE)


def _apart(films: list[Film]) -> list[Film]:
    """The outermost of each heap, the largest first."""
    kept: list[Film] = []
    for film in sorted(films, key=lambda film: -area_of(film.corners)):
        if not any(_overlaps(film.corners, other.corners) for other in kept):
            kept.append(film)
    return [film for film in kept if area_of(film.corners) >= _LEAST_OF_LARGEST * area_of(kept[0].corners)]


def _overlaps(small: Corners, large: Corners) -> bool:
    """Whether the middle of the smaller, or a point near one of its corners, lies within the larger."""
    middle = small.mean(axis=0)
    points = np.vstack([middle, middle + (small - middle) * _NEAR_CORNERS])
    around = large.astype(np.float32)
    return any(cv2.pointPolygonTest(around, (float(x), float(y)), False) >= 0 for x, y in points)
