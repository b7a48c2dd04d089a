"""What a picture looks like in figures. Pure: pixels in, numbers out; runtime.quality judges them.

Measured on two small copies, the gray scale stretched as preprocessing stretches it: what is true of a plate
should not depend on how many pixels it was read out with.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import value_range
from runtime.quantiles import quantiles
from runtime.radiograph import Radiograph

Unit = NDArray[np.float32]
"""(H, W), 0 to 1 after stretching."""
_GRID_PX = 256
_FINE_PX = 512
_HALVE_FROM_PX = 4 * _FINE_PX
_COARSE_BITS = 8
_GAIN = 256
_BORDER_PX = 4
_SOBEL_GAIN = 8.0  # sum of the positive weights of OpenCV's 3x3 Sobel kernel, times two


@dataclass(frozen=True, eq=False)
class Copies:
    """small: long side of 256 px. fine: of 512 px at most; both stretched. levels: stored gray levels between
    the 0.5th and 99.5th percentile.
    """

    small: Unit
    fine: Unit
    levels: float


@dataclass(frozen=True)
class Appearance:
    """What the small copy looks like; all figures but `levels` and `entropy_bits` are fractions or 0 to 1.

    texture, busy: median and 90th percentile of what a blur of 1 px removes. evenness: median gradient over
    mean gradient; bones make few strong edges, textures and ramps the same gradient everywhere. slope: mean
    gradient. off_plane: spread left after the best-fitting plane. edges: area of strong gradient. blank:
    area without any. dark, middle, bright: areas below 0.1, 0.25 to 0.85, above 0.9. border_ends: part of
    the picture's border that is dark or bright, as air and collimators are. grain: spread of detail
    of about 2 px over all spread. fineness: spread of the finest detail over that.
    """

    levels: float
    entropy_bits: float
    texture: float
    busy: float
    evenness: float
    slope: float
    off_plane: float
    edges: float
    blank: float
    dark: float
    middle: float
    bright: float
    median: float
    mean: float
    border_ends: float
    border_spread: float
    grain: float
    fineness: float


def copies_of(radiograph: Radiograph) -> Copies:
    """Both copies of one picture."""
    low, high = value_range(radiograph.pixels, 0.5, 99.5)
    pixels, gain = radiograph.pixels, 1
    if radiograph.bit_depth <= _COARSE_BITS:
        # Means of few gray levels need places behind the point; OpenCV is slower with floats.
        pixels, gain = pixels * np.uint16(_GAIN), _GAIN
    pixels = _halved(pixels)
    small_size = _size(pixels.shape, _GRID_PX)
    if max(pixels.shape) > _FINE_PX:
        # Of just twice the size, since OpenCV halves far faster than it reduces otherwise.
        fine = _reduced(pixels, (2 * small_size[0], 2 * small_size[1]))
        small = _reduced(fine, small_size)
    else:
        fine, small = pixels, _reduced(pixels, small_size)
    unit_small, unit_fine = (_stretched(copy, low * gain, high * gain) for copy in (small, fine))
    return Copies(unit_small, unit_fine, high - low)


def measure(copies: Copies) -> Appearance:
    """The figures of the small copy."""
    unit = copies.small
    fine = cv2.GaussianBlur(unit, (0, 0), 1.0)
    texture, busy = quantiles(cv2.absdiff(unit, fine), 0.5, 0.9)
    slope = _slope(fine)
    counts = np.bincount(np.minimum(unit * 64, 63).astype(np.uint8).ravel(), minlength=64)
    border = _border(unit)
    coarse = fine - cv2.GaussianBlur(unit, (0, 0), 2.0)
    return Appearance(
        levels=copies.levels,
        entropy_bits=_entropy_bits(counts),
        texture=texture,
        busy=busy,
        evenness=ratio(quantiles(slope, 0.5)[0], float(slope.mean())),
        slope=float(slope.mean()),
        off_plane=_off_plane(unit),
        edges=share(slope > 0.1),
        blank=share(slope < 0.005),
        dark=share(unit < 0.1),
        middle=share((unit > 0.25) & (unit < 0.85)),
        bright=share(unit > 0.9),
        median=quantiles(unit, 0.5)[0],
        mean=float(unit.mean()),
        border_ends=share((border < 0.2) | (border > 0.85)),
        border_spread=float(border.std()),
        grain=ratio(float(coarse.std()), float(unit.std())),
        fineness=ratio(float((unit - fine).std()), float(coarse.std())),
    )


def ratio(value: float, reference: float) -> float:
    """value / reference, 0 where there is nothing to compare with."""
    return value / reference if reference > 0 else 0.0


def share(mask: NDArray[np.bool_]) -> float:
    """Part of the mask that is set; 0 for an empty one. Counting is faster than the mean of a mask."""
    return np.count_nonzero(mask) / max(1, mask.size)


def _slope(fine: Unit) -> Unit:
    along_x, along_y = cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(along_x, along_y) / np.float32(_SOBEL_GAIN))


def _halved(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Means of 2 x 2 pixels while the picture is far larger than both copies: OpenCV is fast at just that."""
    while max(pixels.shape) >= _HALVE_FROM_PX and min(pixels.shape) > 1:
        height, width = (side // 2 for side in pixels.shape)
        even = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint16)
    return pixels


def _size(shape: tuple[int, ...], long_side_px: int) -> tuple[int, int]:
    """(width, height) of a copy with that long side."""
    scale = long_side_px / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _reduced(pixels: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.uint16]:
    """To that width and height. Area interpolation keeps a small picture's own sharpness."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint16)


def _stretched(copy: NDArray[np.uint16], low: float, high: float) -> Unit:
    unit: Unit = np.clip((copy.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return unit


def _border(unit: Unit) -> Unit:
    n = _BORDER_PX
    return np.concatenate([part.ravel() for part in (unit[:n], unit[-n:], unit[:, :n], unit[:, -n:])])


def _entropy_bits(counts: NDArray[np.integer]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _off_plane(unit: Unit) -> float:
    """Spread that a tilted plane leaves unexplained over all spread; 1 for a constant picture."""
    height, width = unit.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    centred = unit - unit.mean()
    total = float((centred**2).sum())
    if total == 0 or height == 1 or width == 1:
        return 1.0
    # x and y are centred and orthogonal on a full grid, so the two slopes separate.
    along_x, along_y = float((centred * x).sum()), float((centred * y).sum())
    explained = along_x**2 / (height * (x**2).sum()) + along_y**2 / (width * (y**2).sum())
    return float(np.sqrt(max(0.0, 1.0 - float(explained) / total)))
