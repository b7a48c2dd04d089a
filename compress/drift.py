"""How a candidate's answers have moved though its ranking and its decisions hold: calibration and places.

A difference of two means on the same images, with one-sided bounds by patient: Student's t on the patients'
sums. Where all patients are the same their spread says nothing, and the bounds allow for as many others as
may have stayed unseen, each off by one (the score bound for no event), as intervals.bounded_mean does. The
calibration error counts every image with the sign of its bin, as metrics.calibration_error does; the share
of places found is compared as every share (compress.paired). Only a drift that is shown to exceed its limit
fails; any other is noted with its figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.checks import ALL_IMAGES, FAIL, NOTED, Check, Group, Measured, Place
from compress.intervals import Floats, by_patient, one_sided_z
from compress.margin import Margin
from compress.metrics import signed_excess
from compress.options.gate import DriftLimits
from compress.paired import compare_shares
from compress.predictions import HIT, NOT_ASKED, Predictions, Strings

_ROUNDING = 1e-9
"""Equal numbers differ from their mean by no more than this."""


@dataclass(frozen=True)
class MeanChange:
    """A mean difference over images.

    error: its standard error, 0 where all patients are the same, NaN on one patient.
    """

    difference: float
    error: float
    patients: int

    def width(self, confidence: float) -> float:
        """Half-width of the one-sided bounds; infinite on one patient."""
        from scipy.special import stdtrit

        if self.patients < 2:
            return math.inf
        if not self.error:
            unseen = one_sided_z(confidence) ** 2
            return unseen / (self.patients + unseen)
        return float(stdtrit(self.patients - 1, confidence)) * self.error

    def p_of_rise(self, limit: float) -> float:
        """One-sided p-value of "the difference is larger than `limit`", from what `width` comes from."""
        from scipy.special import ndtr, stdtr

        beyond = self.difference - limit
        if self.patients < 2:
            return 1.0
        if self.error:
            return float(stdtr(self.patients - 1, -beyond / self.error))
        if not 0 < beyond < 1:
            return float(beyond <= 0)
        return float(ndtr(-math.sqrt(beyond * self.patients / (1 - beyond))))


def drift_checks(
    reference: Predictions,
    candidate: Predictions,
    limits: DriftLimits,
    confidence: float,
    group: Group = ALL_IMAGES,
) -> Iterator[Check]:
    """Calibration error, mean probability and, where places are known, how many of them are found."""
    patients = reference.patient_ids
    before, after = signed_excess(reference), signed_excess(candidate)
    yield _rise(Place("ece", "", Margin(limits.ece), group), (before, after), patients, confidence)
    pair = reference.probabilities, candidate.probabilities
    yield _shift(Place("probability", "", Margin(limits.probability), group), pair, patients, confidence)
    if reference.located is not None and candidate.located is not None:
        known = (reference.labels == 1) & (reference.located != NOT_ASKED) & (candidate.located != NOT_ASKED)
        if known.any():
            found = reference.located[known] == HIT, candidate.located[known] == HIT
            place = Place("located", "", Margin(limits.located), group)
            yield _fewer_found(place, found, patients[known], confidence)


def mean_change(before: Floats, after: Floats, patients: Strings) -> MeanChange:
    """after minus before (N,), N >= 1, clustered by patient."""
    change = after - before
    difference, count = float(np.mean(change)), len(np.unique(patients))
    if count < 2:
        return MeanChange(difference, math.nan, count)
    sums, _ = by_patient(change - difference, patients)
    if np.abs(sums).max() <= _ROUNDING:
        return MeanChange(difference, 0.0, count)
    error = math.sqrt(count / (count - 1) * float(np.sum(sums**2))) / len(change)
    return MeanChange(difference, error, count)


def _rise(place: Place, pair: tuple[Floats, Floats], patients: Strings, confidence: float) -> Check:
    change = mean_change(*pair, patients)
    seen = _measured(pair, change, confidence, change.p_of_rise(place.margin.amount))
    return _noted(place, seen, seen.lower > place.margin.amount)


def _shift(place: Place, pair: tuple[Floats, Floats], patients: Strings, confidence: float) -> Check:
    """In either direction; only one of the two can be beyond a limit above 0, so no level is spent twice."""
    change, limit = mean_change(*pair, patients), place.margin.amount
    down = MeanChange(-change.difference, change.error, change.patients)
    seen = _measured(pair, change, confidence, min(change.p_of_rise(limit), down.p_of_rise(limit)))
    return _noted(place, seen, seen.lower > limit or seen.upper < -limit)


def _fewer_found(
    place: Place, found: tuple[NDArray[np.bool_], NDArray[np.bool_]], patients: Strings, confidence: float
) -> Check:
    shares = compare_shares(*found, patients, confidence)
    seen = Measured(
        n=len(patients),
        reference=shares.before,
        candidate=shares.after,
        lower=shares.lower,
        upper=shares.upper,
        p_value=shares.p_of_loss(place.margin.amount),
        patients=shares.patients,
    )
    return _noted(place, seen, seen.upper < -place.margin.amount)


def _measured(pair: tuple[Floats, Floats], change: MeanChange, confidence: float, p_value: float) -> Measured:
    width = change.width(confidence)
    return Measured(
        n=len(pair[0]),
        reference=float(np.mean(pair[0])),
        candidate=float(np.mean(pair[1])),
        # No mean of shares moves by more than 1.
        lower=max(-1.0, change.difference - width),
        upper=min(1.0, change.difference + width),
        p_value=p_value,
        patients=change.patients,
    )


def _noted(place: Place, seen: Measured, is_shown: bool) -> Check:
    # A limit of 1 asks nothing.
    shown = is_shown and not place.margin.asks_nothing
    values = f"{seen.reference:.3f} -> {seen.candidate:.3f}"
    bounds = f"bounds {seen.lower:+.3f} to {seen.upper:+.3f}"
    what = "is shown" if shown else "is not shown"
    reason = f"{values}, a drift beyond {place.margin} {what} ({bounds})"
    return place.judged(seen, FAIL if shown else NOTED, reason)
