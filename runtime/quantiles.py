"""Quantiles by counting. Pure: the same values as numpy.quantile's, without its sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINS = 4096
_MAX_SCALE = 1e30  # values closer than single precision can scale all fall into one range


def quantiles(values: NDArray[np.float32], *shares: float) -> tuple[float, ...]:
    """At shares of 0 to 1 of values that are finite, interpolated between neighbours.

    values: (N,) or (H, W), at least one. A count says in which narrow range a quantile lies; only what lies
    there is sorted.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return (low,) * len(shares)
    scale = np.float32(min((_BINS - 1) / (high - low), _MAX_SCALE))
    bins = ((values - np.float32(low)) * scale).astype(np.uint16)
    so_far = np.cumsum(np.bincount(bins.ravel()))
    return tuple(_quantile(values, bins, so_far, share) for share in shares)


def _quantile(
    values: NDArray[np.float32], bins: NDArray[np.uint16], so_far: NDArray[np.integer], share: float
) -> float:
    place = share * (values.size - 1)
    first = int(place)
    last = min(first + 1, values.size - 1)
    low_bin, high_bin = np.searchsorted(so_far, (first, last), side="right")
    inside = np.sort(values[(bins >= low_bin) & (bins <= high_bin)])
    before = int(so_far[low_bin - 1]) if low_bin else 0
    below, above = float(inside[first - before]), float(inside[last - before])
    return below + (above - below) * (place - first)
