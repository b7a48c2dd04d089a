"""Does the candidate still find the fractures? A statistical statement against the original checkpoint.

A check compares one figure on the same images. With one-sided bounds of the paired difference, clustered by
patient, and the largest loss that is allowed (the margin):

    pass          the lower bound lies above -margin: a larger loss is ruled out
    fail          the upper bound lies below -margin: a larger loss is shown
    inconclusive  neither; more patients would tell

All checks over all images must pass, so the chance to pass with a true loss of a margin or more, in any
figure, is at most 1 - confidence. Single body parts have too few images to pass on their own; of them only a
shown loss counts, and then fails the gate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress import auroc
from compress.metrics import MetricsReport, thresholds
from compress.paired import compare_shares
from compress.predictions import Predictions, Strings
from compress.recipe import Floors, Margins
from runtime.errors import GateError
from runtime.findings import OperatingPoints

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
_POINT_TITLES = {
    "high_sensitivity": "high-sensitivity point",
    "high_specificity": "high-specificity point",
    "floor": "against the floor",
}
_IDS_NAMED = 5

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Check:
    """One figure compared.

    metric: auroc | sensitivity | specificity | answers. point: which operating point, "" for none.
    body_part: "" for all images. difference: candidate minus reference, with its one-sided bounds. n: images
    that the figure is over. reason: why it did not pass, "" if it did. against: what the candidate was
    compared with, "" for the original checkpoint. Numbers are None where they do not exist.
    """

    metric: str
    outcome: str
    margin: float
    n: int = 0
    reference: float | None = None
    candidate: float | None = None
    difference: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    point: str = ""
    body_part: str = ""
    reason: str = ""
    against: str = ""

    @property
    def title(self) -> str:
        """What a person calls it: "sensitivity, high-specificity point, hand"."""
        name = "AUROC" if self.metric == "auroc" else self.metric
        against = self.against and f"against {self.against}"
        words = (name, _POINT_TITLES.get(self.point, self.point), self.body_part, against)
        return ", ".join(filter(None, words))

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it."""
        return {"title": self.title, **asdict(self)}


@dataclass(frozen=True)
class Flip:
    """A case on whose side of an operating point reference and candidate disagree.

    from_, to: "positive" or "negative". harmful: the candidate is the one that is wrong. against: as in
    `Check`.
    """

    case_id: str
    patient_id: str
    body_part: str
    label: int
    reference_probability: float
    candidate_probability: float
    point: str
    from_: str
    to: str
    against: str = ""

    @property
    def harmful(self) -> bool:
        """Whether the change is away from the truth."""
        return (self.to == "positive") != (self.label == 1)

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it; `from_` is called `from`."""
        table = asdict(self)
        table["from"] = table.pop("from_")
        return {**table, "harmful": self.harmful}


@dataclass(frozen=True)
class Verdict:
    """All checks of one gate and every changed decision.

    checks: what the outcome rests on: every figure over all images, and of single body parts those that show
    a loss. body_parts: every figure of every body part. confidence: of each one-sided bound. images,
    patients: compared.
    """

    checks: tuple[Check, ...]
    body_parts: tuple[Check, ...] = ()
    flips: tuple[Flip, ...] = ()
    confidence: float = 0.95
    images: int = 0
    patients: int = 0

    @property
    def outcome(self) -> str:
        """Fail if any check fails, else inconclusive if any is, else pass. Nothing checked is no pass."""
        outcomes = {check.outcome for check in self.checks}
        if FAIL in outcomes or not outcomes:
            return FAIL
        return INCONCLUSIVE if INCONCLUSIVE in outcomes else PASS

    @property
    def passed(self) -> bool:
        """Whether the candidate may go on."""
        return self.outcome == PASS

    def to_json(self) -> dict[str, Any]:
        """As verdict files, records and manifests hold it."""
        return {
            "outcome": self.outcome,
            "confidence": self.confidence,
            "images": self.images,
            "patients": self.patients,
            "checks": [check.to_json() for check in self.checks],
            "body_parts": [check.to_json() for check in self.body_parts],
            "flips": [flip.to_json() for flip in self.flips],
        }


@dataclass(frozen=True)
class ParityVerdict:
    """Numerical agreement of two models' logits on the same inputs.

    worst, typical: largest and median absolute difference, None when the comparison is impossible.
    """

    outcome: str
    limit: float
    n: int
    worst: float | None = None
    typical: float | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the largest difference is within the limit."""
        return self.outcome == PASS

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it."""
        return asdict(self)


def gate(
    reference: Predictions,
    candidate: Predictions,
    points: OperatingPoints,
    margins: Margins,
    confidence: float = 0.95,
) -> Verdict:
    """Compare a candidate with the original checkpoint on the same cases."""
    trouble = _incomparable(reference, candidate)
    if trouble:
        return refusal(reference, trouble, confidence)
    comparison = _Comparison(points, margins, confidence)
    parts = tuple(comparison.of_parts(reference, candidate))
    shown = tuple(item for item in parts if item.outcome == FAIL)
    checks = (*comparison.checks(reference, candidate, ""), *shown)
    flips = tuple(_flips(reference, candidate, points))
    return Verdict(checks, parts, flips, confidence, len(reference), reference.patients)


def refusal(reference: Predictions, reason: str, confidence: float = 0.95) -> Verdict:
    """The verdict on a candidate that cannot be compared case by case: fail."""
    check = Check("answers", FAIL, 0.0, len(reference), reason=reason)
    return Verdict((check,), (), (), confidence, len(reference), reference.patients)


def joined(verdict: Verdict, other: Verdict, against: str) -> Verdict:
    """One verdict of two comparisons. Checks and changed decisions of `other` say what they compare with."""
    checks, parts = (
        tuple(replace(check, against=against) for check in own) for own in (other.checks, other.body_parts)
    )
    flips = (replace(flip, against=against) for flip in other.flips)
    return replace(
        verdict,
        checks=(*verdict.checks, *checks),
        body_parts=(*verdict.body_parts, *parts),
        flips=(*verdict.flips, *flips),
    )


def floors(report: MetricsReport, limits: Floors) -> Verdict:
    """Does the original checkpoint itself reach what is asked of it? The floor stands as the reference."""
    place = _Place("auroc", "floor", "", 0.0)
    value, bounds = report.auroc.value, report.auroc_bounds
    if value is None or bounds is None:
        result = place.missing(report.auroc.reason)
    else:
        around = (bounds[0] - limits.auroc, bounds[1] - limits.auroc)
        result = place.check(report.auroc.n, (limits.auroc, value), around)
    if result.outcome != PASS and bounds is not None:
        seen = f"{value:.3f} (one-sided bounds {bounds[0]:.3f} to {bounds[1]:.3f})"
        result = replace(result, reason=f"{seen} is not shown to reach {limits.auroc:g}")
    return Verdict((result,), (), (), report.confidence, report.images, report.patients)


def parity(reference_logits: ArrayLike, candidate_logits: ArrayLike, limit: float) -> ParityVerdict:
    """Whether two models give the same logits within `limit`, on the same inputs in the same order."""
    before, after = np.asarray(reference_logits, np.float64), np.asarray(candidate_logits, np.float64)
    if before.shape != after.shape:
        return ParityVerdict(FAIL, limit, 0, reason=f"shapes differ: {before.shape} and {after.shape}")
    if before.size == 0:
        return ParityVerdict(FAIL, limit, 0, reason="nothing was compared")
    error = np.abs(after - before)
    if not np.isfinite(error).all():
        count = int(np.sum(~np.isfinite(error)))
        return ParityVerdict(FAIL, limit, before.size, reason=f"{count} logits are not finite")
    worst = float(error.max())
    outcome = PASS if worst <= limit else FAIL
    return ParityVerdict(outcome, limit, before.size, worst, float(np.median(error)))


def write_verdict(verdict: Verdict | ParityVerdict, path: Path) -> None:
    """Every measured value and every changed decision as JSON; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(verdict.to_json(), indent=2, allow_nan=False), encoding="utf-8")
    partial.replace(path)


def require_pass(verdict: Verdict, step: str, allow_inconclusive: bool = False) -> None:
    """Let a passed gate through. Write the verdict first: this raises GateError for anything else."""
    if verdict.passed or (allow_inconclusive and verdict.outcome == INCONCLUSIVE):
        return
    blocking = [item for item in verdict.checks if item.outcome == verdict.outcome]
    reasons = "; ".join(f"{item.title}: {item.reason}" for item in blocking)
    hint = (
        "use more gate patients, or allow a larger loss in the recipe's [gate.margins]"
        if verdict.outcome == INCONCLUSIVE
        else "the verdict file holds every measured value and every changed decision"
    )
    raise GateError(f"gate after {step}: {verdict.outcome}: {reasons}", verdict, hint)


@dataclass(frozen=True)
class _Comparison:
    points: OperatingPoints
    margins: Margins
    confidence: float

    def of_parts(self, reference: Predictions, candidate: Predictions) -> Iterator[Check]:
        """Checks of each body part that has both kinds of images; a part without has nothing to lose."""
        parts = sorted(set(reference.body_parts.tolist()))
        for part in parts if len(parts) > 1 else ():
            mask = reference.body_parts == part
            found = self.checks(reference.subset(mask), candidate.subset(mask), part)
            yield from (item for item in found if item.difference is not None)

    def checks(self, reference: Predictions, candidate: Predictions, part: str) -> Iterator[Check]:
        """AUROC, then sensitivity and specificity at either point."""
        yield self._auroc(reference, candidate, part)
        ill = reference.labels == 1
        for point, threshold in thresholds(self.points).items():
            calls = (reference.probabilities >= threshold, candidate.probabilities >= threshold)
            place = _Place("sensitivity", point, part, self.margins.sensitivity)
            yield self._share(place, ill, calls, reference.patient_ids)
            place = _Place("specificity", point, part, self.margins.specificity)
            yield self._share(place, ~ill, (~calls[0], ~calls[1]), reference.patient_ids)

    def _share(self, place: _Place, among: Flags, right: tuple[Flags, Flags], patients: Strings) -> Check:
        """`right`: which decisions of reference and candidate are correct, for the images `among`."""
        if not among.any():
            return place.missing("no image to measure it on")
        shares = compare_shares(right[0][among], right[1][among], patients[among], self.confidence)
        return place.check(int(among.sum()), (shares.before, shares.after), (shares.lower, shares.upper))

    def _auroc(self, reference: Predictions, candidate: Predictions, part: str) -> Check:
        place = _Place("auroc", "", part, self.margins.auroc)
        if len(set(reference.labels.tolist())) < 2:
            return place.missing(auroc.NO_AUROC)
        before, after = auroc.value(reference), auroc.value(candidate)
        change, width = auroc.difference(reference, candidate, self.confidence)
        bounds = max(-1.0, change - width), min(1.0, change + width)
        return place.check(len(reference), (before, after), bounds)


@dataclass(frozen=True)
class _Place:
    """Which check it is and how much it may lose."""

    metric: str
    point: str
    body_part: str
    margin: float

    def missing(self, reason: str) -> Check:
        return Check(
            self.metric, FAIL, self.margin, point=self.point, body_part=self.body_part, reason=reason
        )

    def check(self, n: int, values: tuple[float, float], bounds: tuple[float, float]) -> Check:
        outcome = _outcome(*bounds, self.margin)
        return Check(
            metric=self.metric,
            outcome=outcome,
            margin=self.margin,
            n=n,
            reference=values[0],
            candidate=values[1],
            difference=values[1] - values[0],
            lower_bound=bounds[0],
            upper_bound=bounds[1],
            point=self.point,
            body_part=self.body_part,
            reason="" if outcome == PASS else self._why(outcome, values, bounds),
        )

    def _why(self, outcome: str, values: tuple[float, float], bounds: tuple[float, float]) -> str:
        seen = f"{values[0]:.3f} -> {values[1]:.3f}"
        if outcome == FAIL:
            return f"{seen}, a loss of more than {self.margin:g} is shown (upper bound {bounds[1]:+.3f})"
        return f"{seen}, a loss of {self.margin:g} is not ruled out (lower bound {bounds[0]:+.3f})"


def _outcome(lower: float, upper: float, margin: float) -> str:
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return FAIL
    # No share can fall by more than 1: a margin of 1 asks nothing, and a bound of exactly -1 answers it.
    if lower > -margin or margin >= 1:
        return PASS
    return FAIL if upper < -margin else INCONCLUSIVE


def _incomparable(reference: Predictions, candidate: Predictions) -> str:
    """Why the two cannot be compared case by case, "" when they can."""
    if not len(reference):
        return "the reference answered no case"
    if reference.refused:
        return f"the reference gave no answer for {_name(reference.refused)}"
    if candidate.refused:
        return f"the candidate gave no answer for {_name(candidate.refused)}"
    missing = sorted(set(reference.case_ids.tolist()) - set(candidate.case_ids.tolist()))
    other = sorted(set(candidate.case_ids.tolist()) - set(reference.case_ids.tolist()))
    if missing or other:
        return f"other cases: missing {_name(missing) or 'none'}, additional {_name(other) or 'none'}"
    for name in ("case_ids", "patient_ids", "body_parts", "labels"):
        if not np.array_equal(getattr(reference, name), getattr(candidate, name)):
            return f"{name} are not the reference's, in the reference's order"
    return ""


def _name(ids: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(ids) - _IDS_NAMED} more" if len(ids) > _IDS_NAMED else ""
    return ", ".join(ids[:_IDS_NAMED]) + more


def _flips(reference: Predictions, candidate: Predictions, points: OperatingPoints) -> Iterator[Flip]:
    before, after = reference.probabilities, candidate.probabilities
    for point, threshold in thresholds(points).items():
        for i in np.flatnonzero((before >= threshold) != (after >= threshold)).tolist():
            rises = bool(after[i] >= threshold)
            yield Flip(
                case_id=str(reference.case_ids[i]),
                patient_id=str(reference.patient_ids[i]),
                body_part=str(reference.body_parts[i]),
                label=int(reference.labels[i]),
                reference_probability=float(before[i]),
                candidate_probability=float(after[i]),
                point=point,
                from_="negative" if rises else "positive",
                to="positive" if rises else "negative",
            )
