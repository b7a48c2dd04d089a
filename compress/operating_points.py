"""Two thresholds that reach their targets, between scores rather than on them.

A threshold at which 95% of the fractures at hand are found loses some of them on new patients about every
second time, and the fewer patients it was read off, the more. With an `assurance` above one half it is
therefore set where the lower tolerance bound reaches the target: a share `sensitivity` of all future
fractures scores above the k-th lowest of n with the probability that a Beta(n - k + 1, k) variable exceeds
that share. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical
Statistics 12 (1941) 91-96; n counts independent images (design effect, see intervals.py). Scores out of fold
come from several networks: the bound then speaks of their mixture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Floats, design_effect
from compress.options.operating_points import OperatingPointOptions
from compress.predictions import Predictions
from runtime.errors import StepError
from runtime.findings import OperatingPoints

_CLEARANCE_LOGIT = 1e-3
"""Gaps between scores narrower than this hold no threshold: rounding on another engine could cross them."""
_BEYOND_LOGIT = 1.0
"""How far outside all scores a threshold lies that must be above or below every one of them."""
_LARGEST_LOGIT = 30.0
"""The logistic function of more is 1 within rounding."""


def choose_operating_points(predictions: Predictions, options: OperatingPointOptions) -> OperatingPoints:
    """The highest threshold with the wanted sensitivity and the lowest with the wanted specificity.

    predictions: of calibration patients, or out of fold of all that were trained on.
    Where the first lies above the second (the model is better than both targets ask for) every threshold
    between them holds both targets. The points then lie at a third and two thirds of the way, clear of either
    crowd, and what lies between them is called doubt.
    Raises StepError without a fractured or without a healthy image, and where there are too few patients for
    the wanted assurance.
    """
    ill = predictions.labels == 1
    if not ill.any() or ill.all():
        raise StepError(
            "operating points need fractured and healthy calibration images, "
            f"got {int(ill.sum())} and {int((~ill).sum())}",
            "give the calibration split more patients",
        )
    gaps = _gaps(predictions.logits)
    kept = _assured(predictions, ill, options.sensitivity, options.assurance)
    sensitive = _below(gaps, _largest_kept(predictions.logits[ill], kept))
    kept = _assured(predictions, ~ill, options.specificity, options.assurance)
    specific = _above(gaps, -_largest_kept(-predictions.logits[~ill], kept))
    low, high = sensitive, specific
    if sensitive > specific:
        third = (sensitive - specific) / 3
        low = _clear(predictions.logits, gaps, specific + third)
        high = _clear(predictions.logits, gaps, sensitive - third)
    if low == high:
        low = _below(gaps, low)
    return _points(low, high)


def _assured(predictions: Predictions, among: NDArray[np.bool_], wanted: float, assurance: float) -> float:
    """The share of these images that must be right, so that new ones are to a share `wanted`."""
    if assurance == 0.5:
        return wanted
    labels, patients = predictions.labels[among], predictions.patient_ids[among]
    # Towards the right side: fractured images should score high, healthy ones low.
    scores = np.where(labels == 1, predictions.logits[among], -predictions.logits[among])
    right = scores >= _largest_kept(scores, wanted)
    count = len(scores)
    independent = count / design_effect(right - right.mean(), patients)
    low, high = math.ceil(wanted * count - 1e-9) - 1, count
    _require_certain(independent, "fractured" if labels[0] else "healthy", wanted, assurance)
    while high - low > 1:
        middle = (low + high) // 2
        enough = _certainty(middle / count, independent, wanted) >= assurance
        low, high = (low, middle) if enough else (middle, high)
    return high / count


def require_enough(labels: NDArray[np.int64], options: OperatingPointOptions) -> None:
    """Raises StepError where so many images cannot assure the points, though every one were independent.

    labels: (N,) 0 or 1, of the patients whose scores will choose. Told before anything is trained.
    """
    if options.assurance == 0.5:
        return
    fractured = int(np.sum(labels))
    _require_certain(fractured, "fractured", options.sensitivity, options.assurance)
    _require_certain(len(labels) - fractured, "healthy", options.specificity, options.assurance)


def _require_certain(independent: float, kind: str, wanted: float, assurance: float) -> None:
    if _certainty(1.0, independent, wanted) >= assurance:
        return
    needed = math.ceil(math.log(1 - assurance) / math.log(wanted))
    raise StepError(
        f"{independent:.0f} independent {kind} images cannot assure a share of {wanted:g} on new patients "
        f"with certainty {assurance:g}",
        f"at least {needed} are needed; use more patients (out-of-fold scores), or ask for less",
    )


def _certainty(seen: float, independent: float, wanted: float) -> float:
    """That the share of all future images exceeds `wanted` where a share `seen` of these was right."""
    # An extra's library: evaluation on a box imports this module but asks for no assurance.
    from scipy.stats import beta

    return float(beta.sf(wanted, seen * independent, (1 - seen) * independent + 1))


def _largest_kept(scores: Floats, share: float) -> float:
    """The score that at least `share` of the scores reach."""
    # The subtrahend keeps 0.95 * 20 = 19.000000000000004 from asking for a twentieth score.
    count = max(1, math.ceil(share * len(scores) - 1e-9))
    return float(np.sort(scores)[::-1][count - 1])


def _gaps(scores: Floats) -> Floats:
    """Places for thresholds, rising: midway in every wide enough gap, and one beyond either end."""
    distinct = np.unique(scores)
    wide = np.diff(distinct) >= _CLEARANCE_LOGIT
    middles = (distinct[:-1] + distinct[1:])[wide] / 2
    return np.concatenate([[distinct[0] - _BEYOND_LOGIT], middles, [distinct[-1] + _BEYOND_LOGIT]])


def _below(gaps: Floats, score: float) -> float:
    """The highest place below the score; one lower still where there is none."""
    fitting = gaps[gaps < score]
    return float(fitting[-1]) if len(fitting) else float(gaps[0]) - _BEYOND_LOGIT


def _clear(scores: Floats, gaps: Floats, wanted: float) -> float:
    """The wanted place, or the nearest that keeps its distance from every score."""
    if np.abs(scores - wanted).min() >= _CLEARANCE_LOGIT / 2:
        return wanted
    return float(gaps[np.abs(gaps - wanted).argmin()])


def _above(gaps: Floats, score: float) -> float:
    return float(gaps[gaps > score][0])


def _points(low: float, high: float) -> OperatingPoints:
    """Logits -> probabilities, apart from each other and from 0 and 1."""
    low = min(max(low, -_LARGEST_LOGIT), _LARGEST_LOGIT - _BEYOND_LOGIT)
    high = min(max(high, low + _CLEARANCE_LOGIT / 2), _LARGEST_LOGIT)
    return OperatingPoints(1 / (1 + math.exp(-low)), 1 / (1 + math.exp(-high)))
