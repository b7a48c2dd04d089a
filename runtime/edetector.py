"""Telling that a mean has risen, at any time, with a known rate of false alarms. Pure.

Each value lies within 0 to 1, and nothing else is assumed of it but that, as long as all is well, its mean
given all before it is at most `most`. Then every factor 1 + stake * (value / most - 1) with a stake of 0 to 1
has a mean of at most 1, and so has their product: betting against the claim wins nothing on average
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024).

A new bet is opened each week and all go on at once, their sum M <- product of the week * (M + 1). M less the
number of weeks is a supermartingale, so the mean time until M reaches c is at least c weeks (the
Shiryaev-Roberts e-detector of Shin, Ramdas and Rinaldo, "E-detectors", NEJSDS 2, 2024), and by Doob's
inequality the chance to reach it within T weeks is at most T / c. Weighted means of e-detectors are
e-detectors, so many can share one c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STAKES = (0.05, 0.1, 0.2, 0.4, 0.7)
"""Small for rare things and small changes, large for large ones; their e-detectors are averaged."""
_MOST_GAIN, _MOST = 200.0, 1e200  # far above any alarm, and still a number


@dataclass(frozen=True)
class Evidence:
    """An e-detector after some weeks. sums: M of each stake. highest: of their mean, so far."""

    sums: tuple[float, ...] = (0.0,) * len(STAKES)
    highest: float = 0.0

    @property
    def now(self) -> float:
        """The mean over the stakes."""
        return sum(self.sums) / len(self.sums)

    def after(self, values: NDArray[np.float64], most: float) -> Evidence:
        """After a week of (N,) values within 0 to 1, in the order in which they came; N may be 0.

        Looked at after each value, so that an alarm is not lost by the end of the week. Raises ValueError
        for `most` outside 0 to 1 and values outside 0 to 1.
        """
        if not 0 < most <= 1:
            raise ValueError(f"most must be above 0 and at most 1, got {most}")
        if len(values) and not (values.min() >= 0 and values.max() <= 1):
            raise ValueError("values must lie within 0 to 1")
        opened = np.asarray(self.sums) + 1.0
        gains = np.log1p(np.outer(STAKES, values / most - 1.0)).cumsum(axis=1)
        sums = np.minimum(opened[:, None] * np.exp(np.minimum(gains, _MOST_GAIN)), _MOST)
        course = np.column_stack([opened, sums])
        return Evidence(tuple(course[:, -1].tolist()), max(self.highest, float(course.mean(axis=0).max())))


def highest_mean(seen: float, values: int, failing: float) -> float:
    """The largest mean of values within 0 to 1 that `values` of them with the mean `seen` do not contradict.

    failing: chance that the true mean is larger all the same. Hoeffding's bound by relative entropy
    ("Probability inequalities for sums of bounded random variables", JASA 58, 1963). 1 for no values.
    """
    if values < 1:
        return 1.0
    room = math.log(1 / failing) / values
    low, high = seen, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _relative_entropy(seen, middle) < room else (low, middle)
    return high


def _relative_entropy(seen: float, claimed: float) -> float:
    parts: Sequence[tuple[float, float]] = ((seen, claimed), (1 - seen, 1 - claimed))
    if any(share > 0 and other <= 0 for share, other in parts):
        return math.inf
    return sum(share * math.log(share / other) for share, other in parts if share > 0)
