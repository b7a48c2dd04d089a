"""How a flat rectangle was looked at, from its four corners in a photograph. Pure geometry.

A photograph of a rectangle tells the shape of it only together with the camera's focal length, which pictures
of films do not carry. It is taken from what tablets and telephones have, and moved within that as far as the
corners say: the sides of a rectangle stand upright on each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
"""(4, 2): x and y in pixels, clockwise, the first at the upper left."""
_FOCAL = 0.8
"""Of the picture's long side: 28 mm on the film of a small-picture camera, as tablets' cameras have."""
_FOCALS = np.geomspace(0.65, 1.2, 23)
_TRUST_IN_FOCAL = 0.05
"""Weight of a focal length's distance from the usual one, against the cosine between the sides."""


@dataclass(frozen=True)
class View:
    """aspect: width of the rectangle over its height. tilt_deg: between its plane and the camera's."""

    aspect: float
    tilt_deg: float


def in_order(points: NDArray[np.floating]) -> Corners:
    """Four points of a convex quadrilateral, clockwise on the screen from the upper left."""
    around = points.astype(np.float64).reshape(4, 2)
    middle = around.mean(axis=0)
    angles = np.arctan2(around[:, 1] - middle[1], around[:, 0] - middle[0])
    around = around[np.argsort(angles)]
    return np.roll(around, -int(np.argmin(around.sum(axis=1))), axis=0)


def view_of(corners: Corners, width_px: int, height_px: int) -> View:
    """How the camera of a picture of that size saw the rectangle; its axis goes through the middle."""
    from_middle = corners - [width_px / 2, height_px / 2]
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    seen = cv2.getPerspectiveTransform(unit, from_middle.astype(np.float32))
    long_px = max(width_px, height_px)
    return min((_at_focal(seen, share * long_px, share) for share in _FOCALS), key=lambda found: found[0])[1]


def _at_focal(seen: NDArray[np.float64], focal_px: float, share: float) -> tuple[float, View]:
    """How little these corners and that focal length fit a rectangle, and the view that follows."""
    across, down = seen[:, 0].copy(), seen[:, 1].copy()
    across[:2] /= focal_px
    down[:2] /= focal_px
    wide, high = float(np.linalg.norm(across)), float(np.linalg.norm(down))
    cosine = float(across @ down) / (wide * high)
    upright = np.cross(across, down)
    tilt = math.degrees(math.acos(min(1.0, abs(upright[2]) / float(np.linalg.norm(upright)))))
    misfit = cosine**2 + (_TRUST_IN_FOCAL * math.log(share / _FOCAL)) ** 2
    return misfit, View(wide / high, tilt)


def is_plausible(corners: Corners) -> bool:
    """Whether it is a convex quadrilateral without needle-like corners."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() < 1:
        return False
    before = np.roll(sides, 1, axis=0)
    turns = before[:, 0] * sides[:, 1] - before[:, 1] * sides[:, 0]
    sines = turns / (lengths * np.roll(lengths, 1))
    return bool(sines.min() > 0.5)  # corners of 30 to 150 degrees


def area_of(corners: Corners) -> float:
    """In square pixels."""
    return float(cv2.contourArea(corners.astype(np.float32)))


def long_side_px(corners: Corners) -> float:
    """Mean of the longer two opposite sides."""
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(max(lengths[0] + lengths[2], lengths[1] + lengths[3]) / 2)


def size_of(corners: Corners, aspect: float, most_px: int) -> tuple[int, int]:
    """Width and height in which the rectangle loses none of its pixels and gains few."""
    long_px = min(long_side_px(corners), most_px)
    sides = (long_px, long_px / aspect) if aspect >= 1 else (long_px * aspect, long_px)
    return max(1, round(sides[0])), max(1, round(sides[1]))


def straightened(pixels: NDArray[np.uint8], corners: Corners, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) uint8: the inside of the corners as if looked at from straight in front."""
    width, height = size
    # Corners are the outer edges of pixels: the middle of the first one lies half a pixel further in.
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - np.float32(0.5)
    turn = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), target)
    return np.asarray(
        cv2.warpPerspective(pixels, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
