"""How far the answers of a box may lie from those that were measured at the release. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FLOOR = {"fp32": 0.01, "fp16": 0.02, "int8": 0.03}
"""Another processor rounds differently, by less than rounding to the precision has cost already."""
_ERROR_FACTOR = 2.0
MAP_DIGITS = 3
"""To which maps are written down; no tolerance is finer."""


def logit_tolerance(errors: NDArray[np.float64], precision: str) -> float:
    """errors: (N,) of an engine's logits. Twice the typical one, and a floor."""
    return round(max(_FLOOR[precision], _ERROR_FACTOR * float(np.median(np.abs(errors)))), 4)


def map_tolerance(found: NDArray[np.float64], origin: NDArray[np.float64], precision: str) -> float:
    """found, origin: (N, R, C), pooled maps of an engine and of the float graph that it was made from.

    Of each picture the worst cell counts, as it does on the box. The floor is a share of a map's range, which
    grows with the numbers that are summed up in it and so with their rounding.
    """
    worst = np.abs(found - origin).max(axis=(1, 2))
    floor = _FLOOR[precision] * float(np.median(np.ptp(origin, axis=(1, 2))))
    return round(max(floor, _ERROR_FACTOR * float(np.median(worst)), 10.0**-MAP_DIGITS), 4)
