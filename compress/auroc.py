"""Area under the ROC curve with a variance that respects patients.

DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837-845, for clusters: Obuchowski, "Nonparametric
analysis of clustered ROC curve data", Biometrics 53 (1997) 567-578. Placements by midranks: Sun and Xu, IEEE
Signal Processing Letters 21 (2014) 1389-1393.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Floats, Interval, on_logit_scale, one_sided_z, student_quantile
from compress.predictions import Predictions, Strings

NO_AUROC = "AUROC needs fractured and healthy images"
_BISECTIONS = 60
_ROC_POINTS = 200


@dataclass(frozen=True, eq=False)
class Placements:
    """For each fractured image the share of healthy ones that it beats, and the other way round.

    fractured: (M,), healthy: (N,); ties count half. The mean of either is the AUROC.
    """

    fractured: Floats
    healthy: Floats

    @property
    def auroc(self) -> float:
        """Of these scores."""
        return float(np.mean(self.fractured))


@dataclass(frozen=True)
class RocCurve:
    """False and true positive rates from (0, 0) to (1, 1), thinned."""

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]

    def to_json(self) -> dict[str, list[float]]:
        """As NodeRecord.roc keeps it."""
        return {"fpr": list(self.fpr), "tpr": list(self.tpr)}


@dataclass(frozen=True, eq=False)
class Groups:
    """Patients of the fractured (M,) and of the healthy (N,) images."""

    fractured: Strings
    healthy: Strings

    @classmethod
    def of(cls, predictions: Predictions) -> Groups:
        """As the predictions say."""
        ill = predictions.labels == 1
        return cls(predictions.patient_ids[ill], predictions.patient_ids[~ill])

    @property
    def smaller(self) -> int:
        """Number of patients on the side that has fewer."""
        return min(len(set(self.fractured.tolist())), len(set(self.healthy.tolist())))

    @property
    def usable(self) -> bool:
        """Whether there are images on both sides."""
        return bool(len(self.fractured) and len(self.healthy))


def placements(logits: Floats, labels: NDArray[np.int64]) -> Placements:
    """Structural components of the AUROC; needs images on both sides."""
    ill = labels == 1
    ranks = _midranks(logits)
    healthy_below = ranks[ill] - _midranks(logits[ill])
    ill_below = ranks[~ill] - _midranks(logits[~ill])
    return Placements(healthy_below / np.sum(~ill), 1 - ill_below / np.sum(ill))


def clustered_variance(fractured: Floats, healthy: Floats, groups: Groups) -> float:
    """Obuchowski's variance from components centred on their mean; infinite with one patient on a side."""
    _, index = np.unique(np.concatenate([groups.fractured, groups.healthy]), return_inverse=True)
    m, n = len(fractured), len(healthy)
    count = int(index.max()) + 1
    ill_sums = np.bincount(index[:m], fractured, count)
    well_sums = np.bincount(index[m:], healthy, count)
    ill_patients = len(set(index[:m].tolist()))
    well_patients = len(set(index[m:].tolist()))
    if min(ill_patients, well_patients) < 2:
        return math.inf
    s10 = ill_patients / (ill_patients - 1) * float(np.sum(ill_sums**2)) / m
    s01 = well_patients / (well_patients - 1) * float(np.sum(well_sums**2)) / n
    s11 = count / (count - 1) * float(np.sum(ill_sums * well_sums))
    return max(0.0, s10 / m + s01 / n + 2 * s11 / (m * n))


def value(predictions: Predictions) -> float:
    """AUROC; needs images on both sides."""
    return placements(predictions.logits, predictions.labels).auroc


def interval(predictions: Predictions, confidence: float) -> Interval:
    """AUROC with a two-sided interval, symmetric on the logit scale so that it stays within 0 to 1."""
    groups = Groups.of(predictions)
    if not groups.usable:
        return Interval.missing(NO_AUROC)
    parts = placements(predictions.logits, predictions.labels)
    area = parts.auroc
    variance = clustered_variance(parts.fractured - area, parts.healthy - area, groups)
    tail = (1 + confidence) / 2
    if variance == 0 or area in (0.0, 1.0):
        low, high = _score_bounds(area, groups, one_sided_z(tail))
    else:
        low, high = on_logit_scale(area, student_quantile(tail, groups.smaller - 1) * math.sqrt(variance))
    return Interval(area, low, high, len(predictions))


def difference(reference: Predictions, candidate: Predictions, confidence: float) -> tuple[float, float]:
    """Candidate minus reference on the same cases, and the half-width of its one-sided bounds.

    The half-width never falls below what a share z^2 / (n + z^2) of the patients could cost if their scores
    fell to chance: so many may be lost without one of n patients showing it (the score bound for no event).
    Equal rankings on a handful of patients therefore prove little, as they should.
    """
    groups = Groups.of(reference)
    before = placements(reference.logits, reference.labels)
    after = placements(candidate.logits, candidate.labels)
    change = after.auroc - before.auroc
    variance = clustered_variance(
        after.fractured - before.fractured - change, after.healthy - before.healthy - change, groups
    )
    unseen = one_sided_z(confidence) ** 2
    floor = abs(before.auroc - 0.5) * unseen / (groups.smaller + unseen)
    width = student_quantile(confidence, groups.smaller - 1) * math.sqrt(variance) if variance else 0.0
    return change, max(width, floor)


def roc_curve(predictions: Predictions) -> RocCurve:
    """The curve's corners, at most about 200 of them; empty where a side has no image."""
    ill = predictions.labels == 1
    if not ill.any() or ill.all():
        return RocCurve((), ())
    order = np.argsort(-predictions.logits, kind="stable")
    scores = predictions.logits[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    tpr = np.append(0.0, np.cumsum(ill[order])[last_of_tie] / ill.sum())
    fpr = np.append(0.0, np.cumsum(~ill[order])[last_of_tie] / (~ill).sum())
    keep = _thin(_corners(fpr, tpr))
    return RocCurve(tuple(fpr[keep].round(5).tolist()), tuple(tpr[keep].round(5).tolist()))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index], np.float64)


def _corners(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Indices of both ends and of every point where the direction changes."""
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 1e-15
    return np.concatenate([[0], np.flatnonzero(turns) + 1, [len(x) - 1]])


def _thin(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(indices) <= _ROC_POINTS:
        return indices
    return indices[np.linspace(0, len(indices) - 1, _ROC_POINTS).round().astype(np.int64)]


def _score_bounds(seen: float, groups: Groups, z: float) -> tuple[float, float]:
    """Bounds for scores without any variance (AUROC 1, 0, or all tied), counting patients, not images.

    Newcombe's method 5: Statistics in Medicine 25 (2006) 559-573.
    """
    m, n = len(set(groups.fractured.tolist())), len(set(groups.healthy.tolist()))

    def excess(area: float) -> float:
        share = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + ((m + n) / 2 - 1) * share) / (m * n)
        return abs(seen - area) - z * math.sqrt(max(variance, 0.0))

    low = 0.0 if seen == 0 else _root(excess, 0.0, seen)
    high = 1.0 if seen == 1 else _root(excess, 1.0, seen)
    return low, high


def _root(function: Callable[[float], float], positive: float, negative: float) -> float:
    for _ in range(_BISECTIONS):
        middle = (positive + negative) / 2
        if function(middle) > 0:
            positive = middle
        else:
            negative = middle
    return positive
