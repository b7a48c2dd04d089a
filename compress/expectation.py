"""What to expect of operating points on new patients, told by patients that a network was not fitted on.

Two questions. `expected_performance`: what do these very thresholds give, over all folds and in each? And
`cross_validated_performance`: what does the way of choosing give, when every fold is judged at thresholds
that the other folds chose? Only the second is free of the optimism of a threshold that is judged on the
patients it was read off (Stone, "Cross-validatory choice and assessment of statistical predictions", Journal
of the Royal Statistical Society B 36 (1974) 111-147).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Interval, proportion
from compress.metrics import thresholds
from compress.operating_points import choose_operating_points
from compress.options.operating_points import OperatingPointOptions
from compress.predictions import Predictions
from runtime.errors import StepError
from runtime.findings import OperatingPoints


@dataclass(frozen=True)
class Expectation:
    """At one operating point: over all patients, and fold by fold (None where a fold has no such image)."""

    sensitivity: Interval
    specificity: Interval
    sensitivity_by_fold: tuple[float | None, ...]
    specificity_by_fold: tuple[float | None, ...]

    def to_json(self) -> dict[str, Any]:
        """For a card or a record."""
        return asdict(self)


def expected_performance(
    predictions: Predictions, points: OperatingPoints, folds: NDArray[np.int64], confidence: float = 0.95
) -> dict[str, Expectation]:
    """By point's name, at the given thresholds. predictions: out of fold. folds: (N,), of each image.

    Raises StepError for fewer than two folds, or a patient in several of them.
    """
    _check(predictions, folds)
    called = _called(predictions, points)
    return {name: _expect(predictions, own, folds, confidence) for name, own in called.items()}


def cross_validated_performance(
    predictions: Predictions,
    options: OperatingPointOptions,
    folds: NDArray[np.int64],
    confidence: float = 0.95,
) -> dict[str, Expectation]:
    """By point's name, each fold at the points that `options` choose on the other folds.

    Raises StepError as `expected_performance`, and where the other folds do not suffice to choose.
    """
    _check(predictions, folds)
    called: dict[str, NDArray[np.bool_]] = {}
    for fold in np.unique(folds):
        own = folds == fold
        points = choose_operating_points(predictions.subset(~own), options)
        for name, positive in _called(predictions, points).items():
            called[name] = np.where(own, positive, called.get(name, False))
    return {name: _expect(predictions, own, folds, confidence) for name, own in called.items()}


def _check(predictions: Predictions, folds: NDArray[np.int64]) -> None:
    if folds.shape != (len(predictions),):
        raise ValueError(f"folds must have shape ({len(predictions)},), got {folds.shape}")
    if len(np.unique(folds)) < 2:
        raise StepError("an expectation needs at least two folds", "divide the patients into more")
    homes = len({*zip(predictions.patient_ids.tolist(), folds.tolist(), strict=True)})
    if homes != predictions.patients:
        raise StepError(
            f"{homes - predictions.patients} patients lie in several folds", "divide patients, not images"
        )


def _called(predictions: Predictions, points: OperatingPoints) -> dict[str, NDArray[np.bool_]]:
    """By point's name, which images (N,) are called positive."""
    return {name: predictions.probabilities >= limit for name, limit in thresholds(points).items()}


def _expect(
    predictions: Predictions, called: NDArray[np.bool_], folds: NDArray[np.int64], confidence: float
) -> Expectation:
    right = called == (predictions.labels == 1)

    def over(label: int) -> tuple[Interval, tuple[float | None, ...]]:
        among = predictions.labels == label
        whole = proportion(right[among], predictions.patient_ids[among], confidence)
        own = [right[among & (folds == fold)] for fold in np.unique(folds)]
        return whole, _means(own)

    (sensitivity, ill_folds), (specificity, well_folds) = over(1), over(0)
    return Expectation(sensitivity, specificity, ill_folds, well_folds)


def _means(groups: Sequence[NDArray[np.bool_]]) -> tuple[float | None, ...]:
    return tuple(float(group.mean()) if len(group) else None for group in groups)
