"""The one way from a Radiograph to a network's input; training, gates, benchmarks and the kiosk all use it.

The spec travels in the bundle, so a model never meets pixels prepared differently from those it learned on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.radiograph import Radiograph

_PERCENTILE_SAMPLE_PX = 1 << 18  # percentiles of a 12-megapixel plate need no more pixels than this


@dataclass(frozen=True)
class PreprocessSpec:
    """How a radiograph becomes a tensor.

    size_px: side of the square input.
    low_percentile, high_percentile: stored values there become 0 and 1 (exposure differs between rooms).
    mean, std: normalisation after scaling to [0, 1].

    Raises ValueError for values that make no image.
    """

    size_px: int = 224
    low_percentile: float = 0.5
    high_percentile: float = 99.5
    mean: float = 0.5
    std: float = 0.5

    def __post_init__(self) -> None:
        if not 16 <= self.size_px <= 4096:
            raise ValueError(f"size_px must be 16 to 4096, got {self.size_px}")
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError(
                f"percentiles must rise within 0 to 100, got {self.low_percentile}, {self.high_percentile}"
            )
        if not self.std > 0:
            raise ValueError(f"std must be positive, got {self.std}")


@dataclass(frozen=True)
class Placement:
    """Where the source image lies inside the square input; maps coordinates back.

    scale: input pixels per source pixel. left_px, top_px: of the image inside the input.
    """

    source_height_px: int
    source_width_px: int
    size_px: int
    scale: float
    left_px: int
    top_px: int

    def to_source(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Input coordinates -> source coordinates, kept inside the source image."""
        x = (x_px - self.left_px) / self.scale
        y = (y_px - self.top_px) / self.scale
        return min(max(x, 0.0), self.source_width_px), min(max(y, 0.0), self.source_height_px)

    def to_input(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Source coordinates -> input coordinates."""
        return x_px * self.scale + self.left_px, y_px * self.scale + self.top_px


def place(height_px: int, width_px: int, size_px: int) -> Placement:
    """Center a (height, width) image in a square of `size_px`, long side filling it."""
    scale = size_px / max(height_px, width_px)
    inner_h, inner_w = _inner(height_px, width_px, scale)
    return Placement(height_px, width_px, size_px, scale, (size_px - inner_w) // 2, (size_px - inner_h) // 2)


def preprocess(radiograph: Radiograph, spec: PreprocessSpec) -> tuple[NDArray[np.float32], Placement]:
    """Return the input tensor (1, 1, size, size) float32 and where the image lies in it."""
    placement = place(radiograph.height_px, radiograph.width_px, spec.size_px)
    inner_h, inner_w = _inner(radiograph.height_px, radiograph.width_px, placement.scale)
    shrinks = placement.scale < 1
    resized = cv2.resize(
        radiograph.pixels.astype(np.float32),
        (inner_w, inner_h),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    low, high = value_range(radiograph.pixels, spec.low_percentile, spec.high_percentile)
    unit = np.clip((resized - low) / (high - low), 0.0, 1.0)
    canvas = np.zeros((spec.size_px, spec.size_px), np.float32)
    canvas[placement.top_px : placement.top_px + inner_h, placement.left_px : placement.left_px + inner_w] = (
        unit
    )
    return ((canvas - spec.mean) / spec.std)[None, None].astype(np.float32), placement


def inverted(
    tensor: NDArray[np.float32], placement: Placement, spec: PreprocessSpec
) -> NDArray[np.float32] | None:
    """What `preprocess` gives for the picture with dark and bright exchanged, from what it gave for this one.

    None for a spec that does not treat dark and bright alike, where only the picture itself can tell.
    """
    if spec.low_percentile + spec.high_percentile != 100:
        return None
    height, width = _inner(placement.source_height_px, placement.source_width_px, placement.scale)
    rows = slice(placement.top_px, placement.top_px + height)
    columns = slice(placement.left_px, placement.left_px + width)
    turned = tensor.copy()
    turned[..., rows, columns] = np.float32((1 - 2 * spec.mean) / spec.std) - tensor[..., rows, columns]
    return turned


def value_range(
    pixels: NDArray[np.uint16], low_percentile: float, high_percentile: float
) -> tuple[float, float]:
    """The stored values at two percentiles, at least one apart; a fixed grid of pixels is enough.

    They are numpy.percentile's own, to the last bit; counting is faster than its sorting.
    """
    step = max(1, int(np.sqrt(pixels.size / _PERCENTILE_SAMPLE_PX)))
    so_far = np.cumsum(np.bincount(pixels[::step, ::step].ravel()))
    low, high = (_percentile(so_far, q) for q in (low_percentile, high_percentile))
    return low, max(high, low + 1.0)


def _percentile(so_far: NDArray[np.integer], q: float) -> float:
    """so_far: how many of the values are at most 0, 1, 2, ... Between two values it is interpolated."""
    place = q / 100 * (int(so_far[-1]) - 1)
    below = int(place)
    share = place - below
    first = float(np.searchsorted(so_far, below, side="right"))
    second = float(np.searchsorted(so_far, min(below + 1, int(so_far[-1]) - 1), side="right"))
    # From the nearer end, as numpy does.
    return first + (second - first) * share if share < 0.5 else second - (second - first) * (1 - share)


def _inner(height_px: int, width_px: int, scale: float) -> tuple[int, int]:
    return max(1, round(height_px * scale)), max(1, round(width_px * scale))
