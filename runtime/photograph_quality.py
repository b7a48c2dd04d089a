"""How well a film was photographed: from how far aside, how large, how sharp, under what light. Pure.

What is measured are the film's own edges, which are straight and sharp, and the light around it, which is the
light box's: both are known of every film, whatever it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.findings import Refusal, RefusalCode
from runtime.photograph_edges import profiles
from runtime.photograph_film import Film
from runtime.photograph_plane import Corners, View, long_side_px

_REACH = 0.015
_FLANK = 0.15
"""Of the steepest change: an edge ends where light changes less than that."""
_SMALL_PX = 800
_INSET = 0.97
_BESIDE = (1.02, 1.06)
_CLIPPED = 250.0
_BRIGHTER = 0.95
_OF_A_BOX = 175.0
"""What is around a film is a light box from this gray value on: cameras expose for what is bright."""
_SPECK_PX = 1.5
_GAMMA = 2.2
_DARKEST = 1e-3


@dataclass(frozen=True)
class ShotLimits:
    """From where on a photograph is not read; see Shot.

    Chosen on simulated photographs (benchmarks.photographs, part "tune"). max_edge: below it 73% of 111 films
    got the file's verdict, above 0.008 37% of 30; careful photographs lie at 0.002 to 0.0052. max_tilt_deg:
    between 30 and 40 degrees 4 of 10 did. max_glare: of 61 careful photographs one lies above. min_evenness:
    beyond what was tried; 0.5 to 0.6 was still read as well as any.
    """

    max_tilt_deg: float = 35.0
    min_long_px: float = 700.0
    max_edge: float = 0.006
    max_glare: float = 0.0015
    min_evenness: float = 0.4


@dataclass(frozen=True)
class Shot:
    """What was measured of a film in its photograph.

    tilt_deg: between film and camera. long_px: its long side. edge: width of the softest of its edges over
    its long side. glare: share of it that is as bright as no film can be. evenness: of the light around
    it, the darkest side over the brightest, 1 where there is no light box.
    """

    tilt_deg: float
    long_px: float
    edge: float
    glare: float
    evenness: float


DEFAULT_LIMITS = ShotLimits()


def measure_shot(pixels: NDArray[np.uint8], film: Film, view: View) -> Shot:
    """All of it for one film."""
    long_px = long_side_px(film.corners)
    scale = min(1.0, _SMALL_PX / max(pixels.shape))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sides = lights(small, film.corners * scale) if film.darker else np.ones(4)
    return Shot(
        tilt_deg=view.tilt_deg,
        long_px=long_px,
        edge=_edge_px(pixels, film.corners) / long_px,
        glare=_glare(small, film.corners * scale, float(sides.max())),
        evenness=float(sides.min() / sides.max()),
    )


def refusal_of_shot(shot: Shot, limits: ShotLimits = DEFAULT_LIMITS) -> Refusal | None:
    """What is most wrong with it, None where nothing is."""
    return next(_refusals(shot, limits), None)


def _refusals(shot: Shot, limits: ShotLimits) -> Iterator[Refusal]:
    if shot.tilt_deg > limits.max_tilt_deg:
        yield Refusal(
            RefusalCode.FILM_OBLIQUE,
            f"The film was photographed from aside, at {shot.tilt_deg:.0f} degrees.",
            "Hold the tablet straight in front of the film and take the photograph again.",
        )
    if shot.long_px < limits.min_long_px:
        yield Refusal(
            RefusalCode.FILM_SMALL,
            f"The film is too small in the photograph: {shot.long_px:.0f} pixels long, at least "
            f"{limits.min_long_px:.0f} are needed.",
            "Go nearer, so that the film fills most of the picture, and take the photograph again.",
        )
    if shot.edge > limits.max_edge:
        yield Refusal(
            RefusalCode.FILM_BLURRED,
            "The photograph is out of focus or shaken.",
            "Hold the tablet still with both hands, wait until the picture is sharp, and take it again.",
        )
    if shot.glare > limits.max_glare:
        yield Refusal(
            RefusalCode.FILM_GLARE,
            "A light is reflected in the film, or the photograph is too bright.",
            "Switch lamps off, keep windows behind the film, and take the photograph again.",
        )
    if shot.evenness < limits.min_evenness:
        yield Refusal(
            RefusalCode.FILM_LIGHT,
            "The film is lit from one side only.",
            "Lay the whole film on the bright part of the light box and take the photograph again.",
        )


def lights(gray: NDArray[np.uint8], corners: Corners) -> NDArray[np.float64]:
    """(4,): light just outside of each side, 1 for white, as light is and not as it is encoded."""
    middle = corners.mean(axis=0)
    near, far = (middle + (corners - middle) * share for share in _BESIDE)
    found = []
    for side in range(4):
        other = (side + 1) % 4
        strip = np.array([near[side], near[other], far[other], far[side]])
        mask = cv2.fillConvexPoly(np.zeros(gray.shape, np.uint8), np.rint(strip).astype(np.int32), 1)
        inside = gray[mask > 0]
        found.append(float(np.median(inside)) if inside.size else 0.0)
    return np.maximum((np.array(found) / 255) ** _GAMMA, _DARKEST)


def _edge_px(pixels: NDArray[np.uint8], corners: Corners) -> float:
    """Width of the softest of the four edges, at each the median of its paths."""
    gray = pixels.astype(np.float32)
    reach_px = max(6.0, _REACH * float(np.linalg.norm(corners[2] - corners[0])))
    return max(float(np.median(_widths(profiles(gray, corners, side, reach_px)[0]))) for side in range(4))


def _widths(paths: NDArray[np.float32]) -> NDArray[np.float64]:
    """(paths, L) -> width of the edge on each: its height over its steepest slope."""
    smooth = cv2.blur(paths, (1, 5))  # over neighbouring paths, along the edge
    slope = np.abs(np.diff(smooth, axis=1))
    top = np.argmax(slope, axis=1)
    return np.array([_width(line, int(at)) for line, at in zip(slope, top, strict=True)])


def _width(slope: NDArray[np.float32], top: int) -> float:
    floor = _FLANK * slope[top]
    before = np.flatnonzero(slope[:top] < floor)
    after = np.flatnonzero(slope[top:] < floor)
    start = int(before[-1]) + 1 if before.size else 0
    stop = top + int(after[0]) if after.size else len(slope)
    return float(slope[start:stop].sum() / max(float(slope[top]), 1e-6))


def _glare(gray: NDArray[np.uint8], corners: Corners, light: float) -> float:
    """A film only takes light away: what is nearly as bright as the box, or white, is a reflection.

    A monitor sends light of its own, and what is around it is no measure: there only white counts.
    """
    middle = corners.mean(axis=0)
    inner = np.rint(middle + (corners - middle) * _INSET).astype(np.int32)
    film = cv2.fillConvexPoly(np.zeros(gray.shape, np.uint8), inner, 1) > 0
    seen = cv2.GaussianBlur(gray, (0, 0), _SPECK_PX)[film]
    if seen.size == 0:
        return 0.0
    around = 255 * light ** (1 / _GAMMA)
    level = min(_CLIPPED, _BRIGHTER * around) if around >= _OF_A_BOX else _CLIPPED
    return float(np.count_nonzero(seen >= level)) / int(seen.size)
