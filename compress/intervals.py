"""Confidence intervals that respect patients: images of one patient are not independent.

Each function takes `patients`, the cluster of every image. The design effect (how much wider an interval
must be than for independent images) comes from the ratio estimator of Rao and Scott, "A simple method for the
analysis of clustered binary data", Biometrics 48 (1992) 577-585.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.predictions import Strings

Floats = NDArray[np.floating[Any]]

_PSEUDO_EVENTS = 2.0
"""Weight of the cautious design effect (images repeat their patient) beside the estimated one. Without it a
single error could allow a narrower interval than none at all. Chosen by simulation: at 2, gates hold their
error rate also for patients with 1 to 16 images; at 1 they exceed it, at 3 they lose half their power."""

_ROUNDING = 1e-9
"""Equal numbers differ from their mean by no more than this."""


@dataclass(frozen=True)
class Interval:
    """A figure with its two-sided confidence interval over `n` images.

    All three numbers are None where the figure does not exist; `reason` then says why.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str = ""

    @classmethod
    def missing(cls, reason: str) -> Interval:
        """No figure, and why."""
        return cls(None, None, None, 0, reason)

    def to_json(self) -> dict[str, Any]:
        """As reports keep it."""
        return asdict(self)


def two_sided_z(confidence: float) -> float:
    """Normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def one_sided_z(confidence: float) -> float:
    """Normal quantile of a one-sided bound."""
    return NormalDist().inv_cdf(confidence)


def student_quantile(probability: float, degrees: int) -> float:
    """Student's t quantile, right to 1% for probabilities up to 0.995; infinite without a degree of freedom.

    Closed forms for one and two degrees, above that the expansion of Abramowitz and Stegun 26.7.5. By hand,
    so that evaluation needs no SciPy on a box.
    """
    if degrees < 1:
        return math.inf
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2 * probability - 1) / math.sqrt(2 * probability * (1 - probability))
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / degrees**power for power, term in enumerate(terms)))


def unskewed_quantiles(quantile: float, bias: float, skewness: float) -> tuple[float, float]:
    """Lower and upper quantile of a studentized estimate whose mean is `bias` and third cumulant `skewness`.

    quantile: what it would be without either. Monotone transformation of Hall, "On the removal of skewness by
    transformation", Journal of the Royal Statistical Society B 54 (1992) 221-228: unlike the expansion that
    it comes from it never turns the order of quantiles around, however skewed the sample.
    """
    slope, shift = -skewness / 6, skewness / 6 - bias
    if abs(slope) < _ROUNDING:
        return -quantile - shift, quantile - shift
    low, high = (math.cbrt(1 + 3 * slope * (end - shift)) for end in (-quantile, quantile))
    return (low - 1) / slope, (high - 1) / slope


def proportion(hits: NDArray[np.bool_], patients: Strings, confidence: float) -> Interval:
    """Share of true values: Wilson's score interval on the effective number of images.

    Wilson, JASA 22 (1927) 209-212. It keeps its width at 0% and 100%.
    """
    if not len(hits):
        return Interval.missing("no images to take a share of")
    value = float(np.mean(hits))
    low, high = wilson(value, len(hits) / design_effect(hits - value, patients), two_sided_z(confidence))
    return Interval(value, low, high, len(hits))


def wilson(value: float, size: float, z: float) -> tuple[float, float]:
    """Score interval of a proportion `value` seen over `size` (effective, need not be whole) trials."""
    spread = z * math.sqrt(value * (1 - value) / size + z * z / (4 * size * size))
    middle = value + z * z / (2 * size)
    scale = 1 + z * z / size
    # Rounding must not leave the observed share outside its own interval.
    return max(0.0, min(value, (middle - spread) / scale)), min(1.0, max(value, (middle + spread) / scale))


def design_effect(residuals: Floats, patients: Strings) -> float:
    """Variance of the mean, clustered by patient, over its variance for independent images; at least 1.

    residuals: (N,) each image's distance from the mean. Where there is little or nothing to estimate it from
    (no residual differs from 0), it approaches Kish's effect for images that merely repeat their patient.
    """
    sums, sizes = by_patient(residuals, patients)
    kish = float(np.sum(sizes**2) / np.sum(sizes))
    if len(sizes) == 1:
        return kish
    clustered = len(sizes) / (len(sizes) - 1) * float(np.sum(sums**2))
    independent = float(np.sum(residuals**2))
    return max(1.0, (clustered + _PSEUDO_EVENTS * kish) / (independent + _PSEUDO_EVENTS))


def by_patient(values: Floats, patients: Strings) -> tuple[Floats, Floats]:
    """Per patient: the sum of its images' values and how many images it has."""
    _, index = np.unique(patients, return_inverse=True)
    return np.asarray(np.bincount(index, values), np.float64), np.asarray(np.bincount(index), np.float64)


def on_logit_scale(value: float, half_width: float) -> tuple[float, float]:
    """Bounds of a figure strictly within 0 to 1 that stay there: symmetric about its logit."""
    middle, width = math.log(value / (1 - value)), half_width / (value * (1 - value))
    return _expit(middle - width), _expit(middle + width)


def bounded_mean(values: Floats, patients: Strings, confidence: float, largest: float = 1) -> Interval:
    """Mean, 0 to `largest`, of errors, overlaps or counts, with a Student interval over patients.

    Where all patients are the same their spread says nothing: the interval then allows for as many patients
    with another value as may have stayed unseen (Wilson's bound for no event), each off by one.
    """
    if not len(values):
        return Interval.missing("no images to average")
    value, number = float(np.mean(values)), len(np.unique(patients))
    sums, _ = by_patient(values - value, patients)
    if number == 1:
        width = largest
    elif np.abs(sums).max() <= _ROUNDING * largest:
        width = wilson(0.0, number, two_sided_z(confidence))[1]
    else:
        error = math.sqrt(number / (number - 1) * float(np.sum(sums**2))) / len(values)
        width = student_quantile((1 + confidence) / 2, number - 1) * error
    return Interval(value, max(0.0, value - width), min(largest, value + width), len(values))


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
