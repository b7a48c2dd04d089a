"""Radiograph and evidence -> the PNGs that a screen shows. The model never sees these."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import value_range
from runtime.radiograph import Radiograph

SCREEN_SIDE_PX = 2560
THUMB_SIDE_PX = 192
HEAT_SIDE_PX = 512
HEAT_FLOOR = 0.15
"""Evidence below this is not drawn: a veil over the whole picture would hide the bone."""
HEAT_OPACITY = 0.8
_SHOWN_PERCENTILES = (0.5, 99.5)
_NARROWEST = 1e-3
_WIDEST = 4
"""A file's window wider than this many times the values shows next to nothing of them."""
# Filtered rows of a radiograph hold runs and little else: looking for these alone takes a third of the
# default's time and gives smaller files.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


def reduced(radiograph: Radiograph, side_px: int) -> tuple[int, int]:
    """Width and height of the picture once its long side is at most `side_px`."""
    scale = min(1.0, side_px / max(radiograph.width_px, radiograph.height_px))
    return max(1, round(radiograph.width_px * scale)), max(1, round(radiograph.height_px * scale))


def reduced_pixels(radiograph: Radiograph, side_px: int = SCREEN_SIDE_PX) -> NDArray[np.uint16]:
    """(H, W) uint16, the values of the picture with its long side at most `side_px`."""
    size = reduced(radiograph, side_px)
    if size == (radiograph.width_px, radiograph.height_px):
        return radiograph.pixels
    return np.asarray(cv2.resize(radiograph.pixels, size, interpolation=cv2.INTER_AREA), np.uint16)


def screen_png(radiograph: Radiograph, side_px: int = SCREEN_SIDE_PX) -> bytes:
    """The picture windowed to 8 bits, long side at most `side_px`, bone bright."""
    low, high = window_of(radiograph)
    pixels = reduced_pixels(radiograph, side_px).astype(np.float32)
    return _encode(cv2.convertScaleAbs(np.clip(pixels - low, 0, high - low), alpha=255 / (high - low)))


def heat_png(evidence: NDArray[np.float32], width_px: int, height_px: int) -> bytes:
    """Evidence (h, w) in 0 to 1 over the whole picture -> a see-through colour map of the picture's shape."""
    scale = min(1.0, HEAT_SIDE_PX / max(width_px, height_px))
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    level = np.clip(cv2.resize(evidence, size, interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    # From orange to pale yellow: apart from gray bone for every kind of colour vision, by lightness too.
    colours = cv2.applyColorMap((128 + level * 120).astype(np.uint8), cv2.COLORMAP_INFERNO)
    shown = np.clip((level - HEAT_FLOOR) / (1 - HEAT_FLOOR), 0.0, 1.0)
    alpha = (np.sqrt(shown) * HEAT_OPACITY * 255).astype(np.uint8)
    return _encode(np.dstack([colours, alpha]))


def window_of(radiograph: Radiograph) -> tuple[float, float]:
    """Lowest and highest stored value shown: the file's window if it shows the picture, else percentiles."""
    low, high = value_range(radiograph.pixels, *_SHOWN_PERCENTILES)
    if radiograph.facts.window is not None:
        center, width = radiograph.facts.window
        own_low, own_high = center - width / 2, center + width / 2
        values = max(high - low, 1.0)
        is_seen = _NARROWEST * values < own_high - own_low < _WIDEST * values
        if own_low < high and own_high > low and is_seen:
            return own_low, own_high
    return low, high


def _encode(pixels: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", pixels, _PNG_OPTIONS)
    if not done:
        raise ValueError(f"no PNG can be made of an array of shape {pixels.shape}")
    return bytes(data)
