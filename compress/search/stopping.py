"""Ends hopeless trainings: the median stopping rule, on the calibration AUROC after each epoch.

A training stops where its best AUROC so far lies below the median of what earlier trials had reached on
average up to the same epoch (Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization",
section 3.2.2). Optuna's own pruners do not work with several objectives, and they look at whatever trial has
come far enough at the moment: here only finished batches of trials count, so that what stops does not depend
on how many workers there are or on which is the fastest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import mean, median

from compress.search.outcome import DONE, Outcome

Curves = tuple[tuple[float, ...], ...]
FEWEST_CURVES = 4
FIRST_EPOCH = 2
"""What the first epoch shows is mostly how the weights were drawn."""


def curves_of(earlier: Iterable[Outcome]) -> Curves:
    """Of earlier trials that were done; trials that share a training count once, and in their order."""
    return tuple(
        dict.fromkeys(outcome.curve for outcome in earlier if outcome.status == DONE and outcome.curve)
    )


def is_hopeless(curve: tuple[float, ...], earlier: Curves) -> bool:
    """Whether a training with these AUROCs so far should end. NaN, the AUROC of one class, stops nothing."""
    epoch = len(curve)
    rivals = [one for one in earlier if len(one) >= epoch]
    if epoch < FIRST_EPOCH or len(rivals) < FEWEST_CURVES or not all(map(math.isfinite, curve)):
        return False
    return max(curve) < median(mean(one[:epoch]) for one in rivals)


def words(curve: tuple[float, ...], earlier: Curves) -> str:
    """Why it was stopped."""
    level = median(mean(one[: len(curve)]) for one in earlier if len(one) >= len(curve))
    return (
        f"stopped after epoch {len(curve)}: calibration AUROC {max(curve):.3f} at best, earlier trials "
        f"{level:.3f} on average (median)"
    )
