"""Bounds on the difference between two shares seen on the same images.

Score test of Tango, "Equivalence test and confidence interval for the difference in proportions for the
paired-sample design", Statistics in Medicine 17 (1998) 891-908, on an effective number of images that
respects patients (design effect, see intervals.py). With no discordant image it gives -z^2 / (n + z^2), not
zero: some fifty patients without a single change are needed to rule out a loss of five points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from compress.intervals import design_effect, one_sided_z
from compress.predictions import Strings

_BISECTIONS = 60


@dataclass(frozen=True)
class PairedDifference:
    """after minus before, with its two one-sided bounds.

    gained, lost, effective: images that changed and all of them, as numbers of independent images.
    """

    before: float
    after: float
    difference: float
    lower: float
    upper: float
    effective: float
    gained: float
    lost: float
    patients: int

    def p_of_loss(self, margin: float) -> float:
        """One-sided p-value of "the loss is larger than `margin`", from what `upper` comes from.

        It lies below 1 - confidence exactly where the upper bound at that confidence lies below -margin.
        """
        beyond = -margin - min(self.difference, 0.0)
        # The second bound: none of so many patients may be unlike the others without being seen.
        unseen = math.inf if beyond >= 1 else math.sqrt(max(beyond, 0.0) * self.patients / (1 - beyond))
        z = _score(margin, self.lost, self.gained, self.effective)
        if beyond <= 0:
            # No loss beyond the margin was seen: the score is 0 or less, or rounding made it so small.
            z, unseen = (min(z, 0.0) if math.isfinite(z) else -math.inf), math.inf
        return NormalDist().cdf(-min(z, unseen))


def compare_shares(
    before: NDArray[np.bool_], after: NDArray[np.bool_], patients: Strings, confidence: float
) -> PairedDifference:
    """How the share of true values changed from `before` to `after` (N,), N >= 1."""
    change = after.astype(np.float64) - before.astype(np.float64)
    difference = float(np.mean(change))
    count, z = len(np.unique(patients)), one_sided_z(confidence)
    # Without any change there is nothing to estimate from: that many patients showed none.
    effect = design_effect(change - difference, patients) if change.any() else len(change) / count
    gained, lost = float(np.sum(change > 0)) / effect, float(np.sum(change < 0)) / effect
    size, unseen = len(change) / effect, tango_lower(0, 0, count, z)
    return PairedDifference(
        before=float(np.mean(before)),
        after=float(np.mean(after)),
        difference=difference,
        # A loss that was seen must not allow more than none seen among as many patients.
        lower=min(tango_lower(gained, lost, size, z), unseen + max(difference, 0.0)),
        upper=max(-tango_lower(lost, gained, size, z), -unseen + min(difference, 0.0)),
        effective=size,
        gained=gained,
        lost=lost,
        patients=count,
    )


def tango_lower(gained: float, lost: float, size: float, z: float) -> float:
    """Lower score bound of (gained - lost) / size; counts may be fractional (effective)."""
    low, high = -1.0, (gained - lost) / size
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _score(middle, gained, lost, size) > z:
            low = middle
        else:
            high = middle
    return low


def _score(difference: float, gained: float, lost: float, size: float) -> float:
    """Tango's statistic for a hypothetical true difference below the one seen."""
    a = 2 * size
    b = -gained - lost + (2 * size - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = size * (2 * q + difference * (1 - difference))
    distance = gained - lost - size * difference
    return distance / math.sqrt(variance) if variance > 1e-12 else math.inf
