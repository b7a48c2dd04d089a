"""Area under the ROC curve with a variance that respects patients.

DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837-845, for clusters: Obuchowski, "Nonparametric
analysis of clustered ROC curve data", Biometrics 53 (1997) 567-578. Placements by midranks: Sun and Xu, IEEE
Signal Processing Letters 21 (2014) 1389-1393.

A studentized difference is skew: where the patients at hand are easy ones, both the loss and its standard
error come out small, so that Student's bounds let a true loss pass too often. They are corrected by the first
terms of the Edgeworth expansion of a studentized U-statistic (Helmers, Annals of Statistics 19 (1991)
470-484), through Hall's transformation (intervals.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from compress.intervals import (
    Floats,
    Interval,
    on_logit_scale,
    one_sided_z,
    student_quantile,
    unskewed_quantiles,
)
from compress.predictions import Predictions, Strings

NO_AUROC = "AUROC needs fractured and healthy images"
_BISECTIONS = 60
_ROC_POINTS = 200
_NEAR_ZERO_Z, _LARGEST_Z = 1e-6, 6.0


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


@dataclass(frozen=True)
class PairedAuroc:
    """AUROC of reference and candidate on the same cases; one-sided bounds of candidate minus reference."""

    before: float
    after: float
    lower: float
    upper: float

    @property
    def change(self) -> float:
        """Candidate minus reference."""
        return self.after - self.before


def compare(reference: Predictions, candidate: Predictions, confidence: float) -> PairedAuroc:
    """Both on the same cases, images on both sides; bounds lie within -1 to 1.

    Neither bound is nearer than `unseen_change`. Equal rankings on a handful of patients therefore prove
    little, as they should.
    """
    groups = Groups.of(reference)
    before = placements(reference.logits, reference.labels)
    after = placements(candidate.logits, candidate.labels)
    moved = _Moved.between(before, after, groups)
    low, high = _widths(moved, reference, candidate, confidence)
    floor = unseen_change(before.auroc, groups.smaller, confidence)
    change = moved.change
    return PairedAuroc(
        before.auroc,
        after.auroc,
        max(-1.0, change - max(low, floor)),
        min(1.0, change + max(high, floor)),
    )


def difference(reference: Predictions, candidate: Predictions, confidence: float) -> tuple[float, float]:
    """Candidate minus reference, and how far the lower bound of `compare` lies below it.

    Taken upwards from a loss the same width is on the safe side: a loss is skewed downwards, and its upper
    bound lies nearer than its lower one.
    """
    found = compare(reference, candidate, confidence)
    return found.change, found.change - found.lower


def unseen_change(area: float, patients: int, confidence: float) -> float:
    """What a share z^2 / (n + z^2) of the patients could cost an AUROC if their scores fell to chance.

    So many may be lost without one of n patients showing it (the score bound for no event). patients: on the
    side that has fewer.
    """
    unseen = one_sided_z(confidence) ** 2
    return abs(area - 0.5) * unseen / (patients + unseen)


@dataclass(frozen=True, eq=False)
class _Moved:
    """How the placements changed, centred on the change of the AUROC: fractured (M,), healthy (N,)."""

    change: float
    fractured: Floats
    healthy: Floats
    groups: Groups

    @classmethod
    def between(cls, before: Placements, after: Placements, groups: Groups) -> _Moved:
        change = after.auroc - before.auroc
        fractured, healthy = after.fractured - before.fractured, after.healthy - before.healthy
        return cls(change, fractured - change, healthy - change, groups)

    def influence(self) -> tuple[Floats, Floats, Floats]:
        """What each patient (P,) adds to the change, and the same for each fractured and healthy image."""
        _, index = np.unique(
            np.concatenate([self.groups.fractured, self.groups.healthy]), return_inverse=True
        )
        m, n = len(self.fractured), len(self.healthy)
        shares = np.concatenate([self.fractured / m, self.healthy / n])
        of_patient = np.asarray(np.bincount(index, shares), np.float64)
        return of_patient, of_patient[index[:m]], of_patient[index[m:]]


def _widths(
    moved: _Moved, reference: Predictions, candidate: Predictions, confidence: float
) -> tuple[float, float]:
    """How far the lower and the upper bound lie from the change; 0 where nothing varies."""
    variance = clustered_variance(moved.fractured, moved.healthy, moved.groups)
    if not variance or not math.isfinite(variance):
        return variance, variance
    quantile, error = student_quantile(confidence, moved.groups.smaller - 1), math.sqrt(variance)
    low, high = unskewed_quantiles(quantile, *_bias_and_skewness(moved, reference, candidate, error))
    return error * high, -error * low


def _bias_and_skewness(
    moved: _Moved, reference: Predictions, candidate: Predictions, error: float
) -> tuple[float, float]:
    """Mean and third cumulant of the change over its standard error, to the first order.

    third: of the patients' influences. joint: what two patients add together, over and above their own
    influences, weighted by both influences. The statistic's mean and skewness then follow from the third
    moment of the change (third + 6 joint) and its covariance with the estimated variance (third + 4 joint).
    """
    of_patient, u, v = moved.influence()
    ill = reference.labels == 1
    pairs = _weighted_wins(candidate.logits, ill, v) - _weighted_wins(reference.logits, ill, v)
    # Centred twice: what is left of each pair's change after both images' own placements.
    together = u @ pairs - (u @ moved.fractured) * v.sum() - u.sum() * (v @ moved.healthy)
    together -= moved.change * u.sum() * v.sum()
    joint = float(together) / (len(u) * len(v))
    third = float(np.sum(of_patient**3))
    covariance = (third + 4 * joint) / error**3
    return -covariance / 2, (third + 6 * joint) / error**3 - 3 * covariance


def _weighted_wins(logits: Floats, ill: NDArray[np.bool_], weights: Floats) -> Floats:
    """For each fractured image (M,) the weights (N,) of the healthy ones that it beats; ties count half."""
    order = np.argsort(logits[~ill], kind="stable")
    scores, below = logits[~ill][order], np.append(0.0, np.cumsum(weights[order]))
    first, last = (np.searchsorted(scores, logits[ill], side) for side in ("left", "right"))
    return np.asarray((below[first] + below[last]) / 2, np.float64)


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


def p_of_loss(reference: Predictions, candidate: Predictions, margin: float) -> float:
    """One-sided p-value of "the loss is larger than `margin`", from the width that `difference` gives.

    It is the confidence, taken from 1, at which the bound meets -margin: below 1 - confidence exactly where
    the upper bound at that confidence lies below -margin. Not told apart below 1e-9.
    """
    from scipy.optimize import brentq

    change, _ = difference(reference, candidate, 0.5)
    beyond = -margin - change

    def excess(z: float) -> float:
        return difference(reference, candidate, NormalDist().cdf(z))[1] - abs(beyond)

    if excess(_NEAR_ZERO_Z) >= 0:
        z = 0.0
    elif excess(_LARGEST_Z) <= 0:
        z = _LARGEST_Z
    else:
        z = float(brentq(excess, _NEAR_ZERO_Z, _LARGEST_Z, xtol=1e-7))
    return NormalDist().cdf(-z if beyond > 0 else z)
