"""Thresholds of a compressed model's own, where it decides the selection patients as the original does.

Quantization and pruning may move all probabilities a little. The ranking is kept, but at the locked
thresholds other patients are called. A recipe may allow such a model thresholds of its own
([operating_points] refit).

They are transferred, not chosen: the one for high sensitivity lies where the same share of the fractured
selection images lies at or above it as at or above the original checkpoint's, the one for high specificity
where the same share of the healthy images lies below it. (Matching two scales by ranks is equipercentile
equating; Kolen & Brennan, "Test Equating, Scaling, and Linking", 2014, chapter 2.) No target is asked for
anew, so nothing can be traded for anything, and what a model has lost in ranking it cannot get back. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import studies
from compress.datasets.base import Case
from compress.predictions import Floats, Predictions
from runtime.errors import StepError
from runtime.examination import ExaminationSpec, logit_of
from runtime.findings import OperatingPoints
from runtime.postprocess import probability

FEWEST_PATIENTS = 20
"""Fractured ones, and healthy ones. With fewer, one patient decides on more than 5% of a side, as much as the
gate allows to be lost where the recipe says nothing else.
"""
_BEYOND_LOGIT = 1.0
"""How far outside all scores a threshold lies where nothing else says how far."""
_LEAST, _MOST = 1e-13, 1 - 1e-13
"""What a threshold can be, clear of 0 and 1."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class OwnPoints:
    """Thresholds of one model. examinations: for several views, None where those of images hold for them."""

    images: OperatingPoints
    examinations: OperatingPoints | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """The patients that thresholds are transferred on, and how the original checkpoint answers them.

    locked: its thresholds. examination: how several views become one answer, with its thresholds for them.
    """

    cases: tuple[Case, ...]
    reference: Predictions
    locked: OperatingPoints
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)


@dataclass(frozen=True)
class Refit:
    """What came of a transfer. own: None where it was refused for `reason`; then the locked ones hold.

    fractured, healthy: how many selection patients have such an image.
    """

    locked: OwnPoints
    own: OwnPoints | None
    fractured: int
    healthy: int
    reason: str = ""

    @property
    def points(self) -> OperatingPoints:
        """The thresholds by which the model decides single images."""
        return self.locked.images if self.own is None else self.own.images

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it."""
        used = self.own or self.locked
        table: dict[str, Any] = {
            "refitted": self.own is not None,
            "reason": self.reason,
            "reference": vars(self.locked.images).copy(),
            "candidate": vars(used.images).copy(),
            "selection_patients": {"fractured": self.fractured, "healthy": self.healthy},
        }
        if self.locked.examinations is not None and used.examinations is not None:
            table["examinations"] = {
                "reference": vars(self.locked.examinations).copy(),
                "candidate": vars(used.examinations).copy(),
            }
        return table


def refit(selection: Selection, candidate: Predictions) -> Refit:
    """The candidate's own thresholds, for images and for examinations where these have some; both or none."""
    reference, spec = selection.reference, selection.examination
    locked, own = OwnPoints(selection.locked, spec.operating_points), None
    reason = ""
    try:
        images = transfer(reference, candidate, selection.locked)
        own = OwnPoints(images, _of_examinations(selection, candidate))
    except StepError as error:
        reason = str(error)
    return Refit(locked, own, _patients(reference, 1), _patients(reference, 0), reason)


def transfer(reference: Predictions, candidate: Predictions, points: OperatingPoints) -> OperatingPoints:
    """The candidate's thresholds for the shares that the reference has at its own, on the same cases.

    Ties may keep a share from being met; then the next one that loses nothing is: more fractures at or above
    the first threshold, more healthy images below the second. Should the second come to lie below the first
    (the candidate tells the two better apart) they change places: every threshold between them keeps both.
    Raises StepError where the two are not of the same cases, and with fewer than FEWEST_PATIENTS of a side.
    """
    _require_comparable(reference, candidate)
    _require_enough(reference)
    ill = reference.labels == 1
    sensitive = _place(reference, candidate, points.high_sensitivity, _Kept(ill, above=True))
    specific = _place(reference, candidate, points.high_specificity, _Kept(~ill, above=False))
    return OperatingPoints(min(sensitive, specific), max(sensitive, specific))


@dataclass(frozen=True, eq=False)
class _Kept:
    """Which images (N,) a threshold must keep on their side, and whether that is at or above it."""

    among: Flags
    above: bool


def _place(reference: Predictions, candidate: Predictions, threshold: float, kept: _Kept) -> float:
    """The candidate's threshold in the place of the reference's.

    Of the places with the same share on the wanted side it is the one that the fewest other images have
    crossed, and within the gap it lies as the reference's does in its own: what has not moved stays.
    """
    before, after = reference.probabilities, candidate.probabilities
    called = before >= threshold
    levels = np.unique(after)
    cuts = np.append(levels, np.inf)
    own = _called(after[kept.among], cuts) - int(called[kept.among].sum())
    others = _called(after[~kept.among], cuts) - int(called[~kept.among].sum())
    lost = -own if kept.above else own
    order = np.lexsort((np.abs(others), np.abs(lost), lost > 0))
    return _within(before, threshold, levels, int(order[0]))


def _called(scores: Floats, cuts: Floats) -> NDArray[np.int64]:
    """How many of the scores lie at or above each cut."""
    return len(scores) - np.searchsorted(np.sort(scores), cuts, side="left")


def _within(before: Floats, threshold: float, levels: Floats, cut: int) -> float:
    """A threshold above levels[cut - 1], at most levels[cut], as the old one lies between its neighbours."""
    below, above = before[before < threshold], before[before >= threshold]
    old = _Gap(below.max() if len(below) else None, above.min() if len(above) else None)
    new = _Gap(levels[cut - 1] if cut else None, levels[cut] if cut < len(levels) else None)
    wanted = min(max(new.at(old.place_of(threshold)), _LEAST), _MOST)
    # Rounding must not put it on the other side of a score.
    least = 0.0 if new.low is None else float(np.nextafter(new.low, 1.0))
    most = 1.0 if new.high is None else new.high
    return min(max(wanted, least), most, float(np.nextafter(1.0, 0.0)))


@dataclass(frozen=True)
class _Gap:
    """Between two neighbouring scores (probabilities); None where there is none on that side."""

    low: float | None
    high: float | None

    def place_of(self, threshold: float) -> tuple[float, float]:
        """(share of the way up, logits beyond the only neighbour), whichever can be said."""
        if self.low is None or self.high is None:
            beside = self.low if self.high is None else self.high
            return 0.5, _BEYOND_LOGIT if beside is None else abs(logit_of(threshold) - logit_of(beside))
        low, high = logit_of(self.low), logit_of(self.high)
        return (logit_of(threshold) - low) / (high - low) if high > low else 0.5, _BEYOND_LOGIT

    def at(self, place: tuple[float, float]) -> float:
        """The probability there."""
        share, beyond = place
        if self.low is None:
            return probability(logit_of(self.high or 0.0) - beyond)
        if self.high is None:
            return probability(logit_of(self.low) + beyond)
        low, high = logit_of(self.low), logit_of(self.high)
        return probability(low + share * (high - low))


def _of_examinations(selection: Selection, candidate: Predictions) -> OperatingPoints | None:
    """The same for whole examinations of several views; None where they have no thresholds of their own."""
    spec = selection.examination
    if spec.operating_points is None:
        return None
    before, after = (
        studies.combine(_of_several_views(item, selection.cases), spec.rule)
        for item in (selection.reference, candidate)
    )
    try:
        return transfer(before, after, spec.operating_points)
    except StepError as error:
        raise StepError(f"examinations of several views: {error}", error.hint) from error


def _of_several_views(seen: Predictions, cases: Sequence[Case]) -> Predictions:
    named = {case.case_id: case.study_id for case in cases}
    ids = np.array([named.get(case_id, "") for case_id in seen.case_ids.tolist()], np.str_)
    return studies.of_several_views(replace(seen, study_ids=ids))


def _require_comparable(reference: Predictions, candidate: Predictions) -> None:
    for whose, seen in (("the original checkpoint", reference), ("the candidate", candidate)):
        if seen.refused:
            raise StepError(f"{whose} gave no answer for {len(seen.refused)} selection images")
    if not np.array_equal(reference.case_ids, candidate.case_ids):
        raise StepError("the two did not answer the same selection images in the same order")


def _require_enough(reference: Predictions) -> None:
    few = [
        f"{count} with a {kind} image"
        for kind, label in (("fractured", 1), ("healthy", 0))
        if (count := _patients(reference, label)) < FEWEST_PATIENTS
    ]
    if few:
        raise StepError(
            f"too few selection patients, {FEWEST_PATIENTS} of each kind are needed: {', '.join(few)}",
            "give the calibration split more patients",
        )


def _patients(seen: Predictions, label: int) -> int:
    return len(set(seen.patient_ids[seen.labels == label].tolist()))
