"""Do made windows help? Paired differences over several seeds, with an interval. Pure.

The same seeds with and without made windows, the same patients. Two things vary: who the patients are, and
what a seed draws. A seed's difference is an estimate of its own; their mean has the variance of the patients
(clustered by patient, of components averaged over the seeds) plus that of the seeds over their number. What
patients and seeds do together is counted in both, which makes the interval rather too wide. The degrees of
freedom are those of Satterthwaite, "An approximate distribution of estimates of variance components",
Biometrics Bulletin 2 (1946) 110-114.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.auroc import NO_AUROC, Groups, clustered_variance, placements
from compress.intervals import by_patient, student_quantile, two_sided_z
from compress.predictions import HIT, NOT_ASKED, Predictions
from runtime.errors import StepError

HELPS, HARMS, NO_DIFFERENCE = "helps", "harms", "no difference shown"
AUROC, PEAKS = "AUROC", "peak hit rate"
LEAST_SEEDS, LEAST_PATIENTS = 2, 2


@dataclass(frozen=True, eq=False)
class Pair:
    """What two networks of one seed say of the same cases."""

    seed: int
    without: Predictions
    made: Predictions


@dataclass(frozen=True)
class _Sampling:
    """variance of the mean difference that patients cause, and its degrees of freedom. unseen: what may be
    lost or gained without one of so few patients showing it; no interval is narrower (see compress.auroc).
    """

    variance: float
    degrees: int
    unseen: float


@dataclass(frozen=True)
class Difference:
    """Made minus without: the mean over the seeds, and a two-sided interval within -1 to 1.

    without, made: (seeds,) the figure itself. images: that it is taken over.
    """

    metric: str
    without: tuple[float, ...]
    made: tuple[float, ...]
    difference: float
    low: float
    high: float
    confidence: float
    images: int

    @property
    def verdict(self) -> str:
        """helps | harms | no difference shown."""
        if self.low > 0:
            return HELPS
        return HARMS if self.high < 0 else NO_DIFFERENCE

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        return {**asdict(self), "verdict": self.verdict}


def compare_auroc(pairs: Sequence[Pair], confidence: float) -> Difference:
    """Of the same cases. Raises StepError for fewer than two seeds, different cases, or one label only."""
    _check(pairs)
    groups = Groups.of(pairs[0].without)
    if not groups.usable:
        raise StepError(NO_AUROC)
    parts = [
        (placements(p.without.logits, p.without.labels), placements(p.made.logits, p.made.labels))
        for p in pairs
    ]
    ill = np.mean([made.fractured - without.fractured for without, made in parts], axis=0)
    well = np.mean([made.healthy - without.healthy for without, made in parts], axis=0)
    variance = clustered_variance(ill - ill.mean(), well - well.mean(), groups)
    figures = [(without.auroc, made.auroc) for without, made in parts]
    room = abs(float(np.mean([without for without, _ in figures])) - 0.5)
    sampling = _Sampling(variance, groups.smaller - 1, room * _unseen(groups.smaller, confidence))
    return _difference(AUROC, figures, sampling, confidence, len(pairs[0].made))


def compare_peaks(pairs: Sequence[Pair], confidence: float) -> Difference | None:
    """How often the map's peak lies in a true box; None where no case has one.

    Raises StepError as `compare_auroc` does.
    """
    _check(pairs)
    asked = _located(pairs[0].without) != NOT_ASKED
    if not asked.any():
        return None
    hits = [[_located(part)[asked] == HIT for part in (pair.without, pair.made)] for pair in pairs]
    change = np.mean([made.astype(float) - without for without, made in hits], axis=0)
    patients = pairs[0].without.patient_ids[asked]
    sums, _ = by_patient(change - change.mean(), patients)
    count = len(sums)
    variance = count / (count - 1) * float(np.sum(sums**2)) / len(change) ** 2 if count > 1 else math.inf
    figures = [(float(without.mean()), float(made.mean())) for without, made in hits]
    sampling = _Sampling(variance, count - 1, _unseen(count, confidence))
    return _difference(PEAKS, figures, sampling, confidence, len(change))


def _difference(
    metric: str,
    figures: Sequence[tuple[float, float]],
    patients: _Sampling,
    confidence: float,
    images: int,
) -> Difference:
    changes = np.array([made - without for without, made in figures])
    seeds = float(np.var(changes, ddof=1)) / len(changes), len(changes) - 1
    width = _half_width(((patients.variance, patients.degrees), seeds), confidence)
    width = max(width, patients.unseen)
    middle = float(changes.mean())
    low, high = max(-1.0, middle - width), min(1.0, middle + width)  # one patient alone tells nothing
    without, made = (tuple(column) for column in zip(*figures, strict=True))
    return Difference(metric, without, made, middle, low, high, confidence, images)


def _half_width(parts: Sequence[tuple[float, int]], confidence: float) -> float:
    """Of independent (variance, degrees of freedom)."""
    total = sum(variance for variance, _ in parts)
    if total == 0 or math.isinf(total):
        return total
    degrees = total**2 / sum(variance**2 / max(free, 1) for variance, free in parts)
    return student_quantile((1 + confidence) / 2, max(1, int(degrees))) * math.sqrt(total)


def _unseen(patients: int, confidence: float) -> float:
    """The score bound of a share that none of so many patients showed."""
    square = two_sided_z(confidence) ** 2
    return square / (patients + square)


def _located(predictions: Predictions) -> NDArray[np.int64]:
    found = predictions.located
    return np.full(len(predictions), NOT_ASKED, np.int64) if found is None else found


def _check(pairs: Sequence[Pair]) -> None:
    if len(pairs) < LEAST_SEEDS:
        raise StepError(f"a comparison needs {LEAST_SEEDS} seeds or more, got {len(pairs)}")
    known = pairs[0].without.case_ids.tolist()
    if any(part.case_ids.tolist() != known for pair in pairs for part in (pair.without, pair.made)):
        raise StepError("the networks answered different cases", "compare the same gate patients")
