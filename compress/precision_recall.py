"""Average precision and the precision-recall curve, with a variance that respects patients.

Average precision is the mean, over the fractured images, of the precision at each one's score: the area under
the steps of the curve, without interpolation (Davis and Goadrich, "The relationship between precision-recall
and ROC curves", ICML 2006, say why a straight line between its points would flatter). Its variance is the
infinitesimal jackknife's: how far the figure moves when one patient weighs a little more (Jaeckel, "The
infinitesimal jackknife", Bell Laboratories 1972; Efron, Biometrika 68 (1981) 589-599). The interval is made
on the logit scale: Boyd, Eng and Page, "Area under the precision-recall curve", ECML PKDD 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.intervals import (
    Floats,
    Interval,
    by_patient,
    design_effect,
    on_logit_scale,
    student_quantile,
    two_sided_z,
    wilson,
)
from compress.predictions import Predictions

NEEDED = "average precision needs fractured and healthy images"


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Points from the highest threshold to the lowest: recall rises."""

    recall: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Counts at every image's own threshold (N,): called positive, and fractured among them."""

    called: Floats
    found: Floats


def value(predictions: Predictions) -> float:
    """Average precision; needs a fractured image."""
    ranking = _rank(predictions.logits, predictions.labels)
    return float(np.mean((ranking.found / ranking.called)[predictions.labels == 1]))


def interval(predictions: Predictions, confidence: float) -> Interval:
    """Average precision with a two-sided interval, within 0 to 1."""
    ill = predictions.labels == 1
    # Without healthy images it would be 1 whatever the scores.
    if not ill.any() or ill.all():
        return Interval.missing(NEEDED)
    area = value(predictions)
    sums, _ = by_patient(influence(predictions), predictions.patient_ids)
    patients = len(set(predictions.patient_ids[ill].tolist()))
    variance = len(sums) / max(1, len(sums) - 1) * float(np.sum(sums**2))
    if patients < 2:
        return Interval(area, 0.0, 1.0, len(predictions))
    low, high = _unmoved_bounds(predictions, area, confidence)
    if 0 < area < 1 and variance > 0:
        quantile = student_quantile((1 + confidence) / 2, patients - 1)
        low, high = on_logit_scale(area, quantile * math.sqrt(variance))
    return Interval(area, min(low, area), max(high, area), len(predictions))


def influence(predictions: Predictions) -> Floats:
    """How average precision changes by each image's weight (N,); sums to 0."""
    ill = predictions.labels == 1
    ranking = _rank(predictions.logits, predictions.labels)
    precision = ranking.found / ranking.called
    # Moving one image moves the precision at every fractured image that scores no higher.
    own = np.where(ill, precision - precision[ill].mean(), 0.0)
    gain = _sum_at_or_below(predictions.logits, np.where(ill, 1 / ranking.called, 0.0))
    loss = _sum_at_or_below(predictions.logits, np.where(ill, ranking.found / ranking.called**2, 0.0))
    return np.asarray((own + np.where(ill, gain, 0.0) - loss) / ill.sum(), np.float64)


def curve(predictions: Predictions) -> PrecisionRecallCurve:
    """Every distinct threshold's point; empty without a fractured image."""
    total = int(np.sum(predictions.labels == 1))
    if not total:
        return PrecisionRecallCurve((), ())
    ranking = _rank(predictions.logits, predictions.labels)
    called, first = np.unique(ranking.called, return_index=True)
    found = ranking.found[first]
    return PrecisionRecallCurve(tuple((found / total).tolist()), tuple((found / called).tolist()))


def _rank(logits: Floats, labels: NDArray[np.int64]) -> _Ranking:
    distinct, index = np.unique(logits, return_inverse=True)
    called = np.bincount(index, minlength=len(distinct))
    found = np.bincount(index, labels, len(distinct))
    return _Ranking(_from_above(called)[index], _from_above(found)[index])


def _from_above(counts: NDArray[Any]) -> Floats:
    return np.asarray(np.cumsum(counts[::-1])[::-1], np.float64)


def _sum_at_or_below(logits: Floats, values: Floats) -> Floats:
    """For each image the sum of the values of those that score no higher (N,)."""
    distinct, index = np.unique(logits, return_inverse=True)
    return np.asarray(np.cumsum(np.bincount(index, values, len(distinct)))[index], np.float64)


def _unmoved_bounds(predictions: Predictions, area: float, confidence: float) -> tuple[float, float]:
    """Where no weight moves the figure, as for a perfect ranking: a share's bounds on as many patients."""
    ill = predictions.labels == 1
    residuals = np.zeros(int(ill.sum()))
    effect = design_effect(residuals, predictions.patient_ids[ill])
    return wilson(area, len(residuals) / effect, two_sided_z(confidence))
