"""What a radiography room adds: collimation, lead letters, and the plate reader's curve to 12 bits."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.datasets.synth.geometry import Floats
from compress.datasets.synth.materials import LEAD

BIT_DEPTH = 12
WHITE = (1 << BIT_DEPTH) - 1
_LEAF_TRANSMISSION = 2e-3
_MARKER_MM = 1.5
_SMALLEST_COUNT = 1.0


@dataclass(frozen=True)
class Collimation:
    """The exposed rectangle: half sides as shares of the plate's, its turn, and where its middle lies.

    shuttered: the reader blacks out what lies outside; otherwise it stays white, as unexposed plates are.
    """

    half_width: float = 0.6
    half_height: float = 0.6
    turn_deg: float = 0.0
    center: tuple[float, float] = (0.0, 0.0)
    shuttered: bool = False


@dataclass(frozen=True)
class Marker:
    """A lead letter: where (shares of width and height), how large (share of the height), how turned."""

    letter: str
    at: tuple[float, float]
    size: float
    turn_deg: float


@dataclass(frozen=True)
class Curve:
    """The reader's look-up: contrast between two optical depths, bent by a gamma.

    headroom: how much brighter than the brightest bone white is. floor: how far into the background black
    reaches. sharpen: strength of the edge enhancement that CR systems apply.
    """

    gamma: float = 1.0
    headroom: float = 0.1
    floor: float = 0.02
    sharpen: float = 0.0


def exposed(shape: tuple[int, int], collimation: Collimation) -> Floats:
    """(H, W) share of the beam that the collimator lets through, edges one pixel soft."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x = x - (0.5 + collimation.center[0]) * width
    y = y - (0.5 + collimation.center[1]) * height
    cos, sin = np.cos(np.deg2rad(collimation.turn_deg)), np.sin(np.deg2rad(collimation.turn_deg))
    u = np.abs(x * np.float32(cos) + y * np.float32(sin)) - np.float32(collimation.half_width * width)
    v = np.abs(y * np.float32(cos) - x * np.float32(sin)) - np.float32(collimation.half_height * height)
    inside = np.clip(0.5 - np.maximum(u, v) / 2, 0, 1)
    return np.asarray(np.maximum(inside, np.float32(_LEAF_TRANSMISSION)))


def lead(shape: tuple[int, int], marker: Marker, energy_kev: float) -> Floats:
    """(H, W) optical depth of the letter."""
    height, width = shape
    scale = marker.size * height / 22
    mask = np.zeros(shape, np.uint8)
    at = (int(marker.at[0] * width), int(marker.at[1] * height))
    thickness = max(1, round(2.2 * scale))
    cv2.putText(mask, marker.letter, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((float(at[0]), float(at[1])), marker.turn_deg, 1.0)
    turned = cv2.warpAffine(mask, turn, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(turned.astype(np.float32) / 255 * np.float32(LEAD.per_mm(energy_kev) * _MARKER_MM))


def develop(
    counts: Floats, field: Floats, letter: Floats, collimation: Collimation, curve: Curve
) -> NDArray[np.uint16]:
    """Counts -> stored values of 12 bits, bone bright.

    Scaled as readers do, to the anatomy: the exposed part of the plate without the lead letter, whose optical
    depth is `letter`.
    """
    depth = -np.log(np.maximum(counts, np.float32(_SMALLEST_COUNT)))
    if curve.sharpen > 0:
        depth = depth + np.float32(curve.sharpen) * (depth - cv2.GaussianBlur(depth, (0, 0), 3.0))
    inside = field > 0.5
    black, white = np.percentile(depth[inside & (letter <= 0)][::7], [2.0, 99.7])
    span = max(float(white - black), 0.2)
    unit = (depth - np.float32(black + curve.floor * span)) / np.float32(span * (1 + curve.headroom))
    stored = np.clip(unit, 0, 1) ** np.float32(curve.gamma) * WHITE
    if collimation.shuttered:
        stored[~inside] = 0
    return np.asarray(np.rint(stored).astype(np.uint16))
