"""Does the candidate still find the fractures? A statistical statement against the original checkpoint.

A check compares one figure on the same images. With one-sided bounds of the paired difference, clustered by
patient, and the largest loss that is allowed (the margin):

    pass          the lower bound lies above -margin: a larger loss is ruled out
    fail          the upper bound lies below -margin: a larger loss is shown
    inconclusive  neither; more patients would tell

What is controlled, each at 1 - confidence, in one comparison of a candidate with a reference:

    a harmful pass    All five checks over all images must pass, so the chance to pass with a true loss of a
                      margin or more in any of these figures is at most that. Drawing patients anew (cluster
                      bootstrap) is a second opinion: a pass that it does not support becomes inconclusive,
                      which can only make harmful passes rarer.
    false alarms in   Single body parts and views have too few images to pass on their own; of them only a
    subgroups         shown loss counts, and then fails the gate. Their p-values are adjusted together, those
                      of their drift too, by Holm's method: the chance that any subgroup fails the gate,
                      although none of them has lost (or drifted) more than it may, is at most that.
    false alarms of   Each of the up to three checks of drift over all images fails only where a drift beyond
    drift             its limit is shown, and each of them errs at most that often. Otherwise it is noted.

A small loss in a small subgroup is therefore not ruled out: nothing but the number of its patients can do so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress import auroc
from compress.bootstrap import BootstrapOptions, Statistic, auroc_change, lower_bounds, share_change
from compress.checks import (
    ALL_IMAGES,
    FAIL,
    INCONCLUSIVE,
    NOTED,
    PASS,
    Check,
    Group,
    Measured,
    Place,
)
from compress.drift import drift_checks
from compress.margin import Margin
from compress.metrics import MetricsReport, thresholds
from compress.options.gate import DriftLimits, Floors, Margins
from compress.paired import compare_shares
from compress.predictions import Predictions
from compress.subgroups import groups, settled
from runtime.errors import GateError
from runtime.findings import OperatingPoints

__all__ = [
    "FAIL",
    "INCONCLUSIVE",
    "NOTED",
    "PASS",
    "Check",
    "Flip",
    "ParityVerdict",
    "Rules",
    "Verdict",
    "floors",
    "gate",
    "joined",
    "parity",
    "refusal",
    "require_pass",
    "write_verdict",
]

_IDS_NAMED = 5

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Flip:
    """A case on whose side of an operating point reference and candidate disagree.

    from_, to: "positive" or "negative". harmful: the candidate is the one that is wrong. against: as in
    `Check`. candidate_threshold: the candidate's own, None where both decide by the same.
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
    candidate_threshold: float | None = None

    @property
    def harmful(self) -> bool:
        """Whether the change is away from the truth."""
        return (self.to == "positive") != (self.label == 1)

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it; `from_` is called `from`."""
        table = asdict(self)
        table["from"] = table.pop("from_")
        if self.candidate_threshold is None:
            del table["candidate_threshold"]
        return {**table, "harmful": self.harmful}


@dataclass(frozen=True)
class Verdict:
    """All checks of one gate and every changed decision.

    checks: what the outcome rests on: every figure over all images, and of single body parts and views and of
    drift those that fail. body_parts, views: every figure of each. drift: every check of it, over all images,
    then by body part and view. confidence: of each one-sided bound. images, patients: compared. look: which
    look at these patients it was and what led to it, where it was not the first (compress.fallback).
    operating_points: whether the candidate was judged at thresholds of its own, which, or why not
    (compress.refit); {} where none were allowed.
    """

    checks: tuple[Check, ...]
    body_parts: tuple[Check, ...] = ()
    flips: tuple[Flip, ...] = ()
    confidence: float = 0.95
    images: int = 0
    patients: int = 0
    views: tuple[Check, ...] = ()
    drift: tuple[Check, ...] = ()
    look: dict[str, Any] = field(default_factory=dict)
    operating_points: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> tuple[Check, ...]:
        """The figures with margins over all images."""
        return tuple(check for check in self.checks if not check.is_subgroup and not check.is_drift)

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
            "views": [check.to_json() for check in self.views],
            "drift": [check.to_json() for check in self.drift],
            "flips": [flip.to_json() for flip in self.flips],
            **({"look": self.look} if self.look else {}),
            **({"operating_points": self.operating_points} if self.operating_points else {}),
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


@dataclass(frozen=True)
class Rules:
    """What a gate asks beside the margins.

    drift: limits, None where drift is not looked at. draws: of the bootstrap beside the bounds.
    candidate_points: the candidate's own operating points, None where it is judged at the reference's.
    """

    drift: DriftLimits | None = None
    draws: BootstrapOptions = BootstrapOptions(draws=2000)
    candidate_points: OperatingPoints | None = None


def gate(
    reference: Predictions,
    candidate: Predictions,
    points: OperatingPoints,
    margins: Margins,
    confidence: float = 0.95,
    rules: Rules = Rules(),
) -> Verdict:
    """Compare a candidate with the original checkpoint on the same cases; views are the reference's.

    points: the reference's, and the candidate's too where the rules name none for it.
    """
    trouble = _incomparable(reference, candidate)
    if trouble:
        return refusal(reference, trouble, confidence)
    comparison = _Comparison(points, margins, confidence, rules)
    apart = settled(tuple(comparison.of_groups(reference, candidate)), confidence)
    drift = (*comparison.drift(reference, candidate), *(check for check in apart if check.is_drift))
    figures = tuple(check for check in apart if not check.is_drift)
    shown = tuple(check for check in (*figures, *drift) if check.outcome == FAIL)
    return Verdict(
        checks=(*comparison.whole(reference, candidate), *shown),
        body_parts=tuple(check for check in figures if check.body_part),
        flips=tuple(_flips(reference, candidate, points, rules.candidate_points)),
        confidence=confidence,
        images=len(reference),
        patients=reference.patients,
        views=tuple(check for check in figures if check.view),
        drift=drift,
    )


def refusal(reference: Predictions, reason: str, confidence: float = 0.95) -> Verdict:
    """The verdict on a candidate that cannot be compared case by case: fail."""
    check = Check("answers", FAIL, 0.0, len(reference), reason=reason)
    return Verdict((check,), (), (), confidence, len(reference), reference.patients)


def joined(verdict: Verdict, other: Verdict, against: str) -> Verdict:
    """One verdict of two comparisons. Checks and changed decisions of `other` say what they compare with.

    What is controlled is controlled in each of them; p-values are not adjusted across comparisons.
    """
    names = ("checks", "body_parts", "views", "drift", "flips")
    both: dict[str, Any] = {
        name: (*getattr(verdict, name), *(replace(item, against=against) for item in getattr(other, name)))
        for name in names
    }
    return replace(verdict, **both)


def floors(report: MetricsReport, limits: Floors) -> Verdict:
    """Does the original checkpoint itself reach what is asked of it? The floor stands as the reference."""
    place = Place("auroc", "floor", Margin(0.0))
    value, bounds = report.auroc.value, report.auroc_bounds
    if value is None or bounds is None:
        result = place.missing(report.auroc.reason)
    else:
        around = (bounds[0] - limits.auroc, bounds[1] - limits.auroc)
        result = place.check(Measured(report.auroc.n, limits.auroc, value, *around))
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
    rules: Rules

    def whole(self, reference: Predictions, candidate: Predictions) -> Iterator[Check]:
        """Every figure over all images, with the second opinion of the bootstrap."""
        figures = tuple(self._figures(reference, candidate, ALL_IMAGES))
        # Without any changed image the bootstrap is degenerate: its bound is 0 and decides nothing.
        bounds = lower_bounds(
            [figure.change() for figure in figures],
            reference.patient_ids,
            self.confidence,
            self.rules.draws,
        )
        for figure, bound in zip(figures, bounds, strict=True):
            yield _cross_checked(figure.check(self.confidence), bound)

    def of_groups(self, reference: Predictions, candidate: Predictions) -> Iterator[Check]:
        """Checks of each body part and view; a figure that a group does not have cannot be lost there."""
        for group, mask in groups(reference):
            own = reference.subset(mask), candidate.subset(mask)
            found = (figure.check(self.confidence) for figure in self._figures(*own, group))
            yield from (check for check in found if check.difference is not None)
            yield from self.drift(*own, group)

    def drift(
        self, reference: Predictions, candidate: Predictions, group: Group = ALL_IMAGES
    ) -> Iterator[Check]:
        """Checks of drift, where anybody looks at it."""
        if self.rules.drift is not None:
            yield from drift_checks(reference, candidate, self.rules.drift, self.confidence, group)

    def _figures(self, reference: Predictions, candidate: Predictions, group: Group) -> Iterator[_Figure]:
        """AUROC, then sensitivity and specificity at either point."""
        yield _Area(Place("auroc", "", self.margins.of("auroc"), group), reference, candidate)
        ill = reference.labels == 1
        own = thresholds(self.rules.candidate_points or self.points)
        for point, threshold in thresholds(self.points).items():
            before, after = reference.probabilities >= threshold, candidate.probabilities >= own[point]
            place = Place("sensitivity", point, self.margins.of("sensitivity"), group)
            yield _Share(place, reference, before, after, ill)
            place = Place("specificity", point, self.margins.of("specificity"), group)
            yield _Share(place, reference, ~before, ~after, ~ill)


class _Figure(Protocol):
    """A figure that both models have on the same images."""

    def check(self, confidence: float) -> Check:
        """By its analytic bounds."""
        ...

    def change(self) -> Statistic:
        """Candidate minus reference, for the bootstrap."""
        ...


@dataclass(frozen=True, eq=False)
class _Share:
    """`before`, `after`: which decisions of either are correct, of interest on the images `among` (N,)."""

    place: Place
    reference: Predictions
    before: Flags
    after: Flags
    among: Flags

    def check(self, confidence: float) -> Check:
        if not self.among.any():
            return self.place.missing("no image to measure it on")
        patients = self.reference.patient_ids[self.among]
        shares = compare_shares(self.before[self.among], self.after[self.among], patients, confidence)
        margin = self.place.margin.absolute(shares.before)
        seen = Measured(
            n=int(self.among.sum()),
            reference=shares.before,
            candidate=shares.after,
            lower=shares.lower,
            upper=shares.upper,
            p_value=shares.p_of_loss(margin),
            patients=shares.patients,
        )
        return self.place.check(seen)

    def change(self) -> Statistic:
        return share_change(self.before, self.after, self.among)


@dataclass(frozen=True, eq=False)
class _Area:
    """The AUROC."""

    place: Place
    reference: Predictions
    candidate: Predictions

    def check(self, confidence: float) -> Check:
        pair = self.reference, self.candidate
        sides = auroc.Groups.of(self.reference)
        if not sides.usable:
            return self.place.missing(auroc.NO_AUROC)
        before, after = auroc.value(self.reference), auroc.value(self.candidate)
        change, width = auroc.difference(*pair, confidence)
        seen = Measured(
            n=len(self.reference),
            reference=before,
            candidate=after,
            lower=max(-1.0, change - width),
            upper=min(1.0, change + width),
            p_value=auroc.p_of_loss(*pair, self.place.margin.absolute(before)),
            patients=sides.smaller,
        )
        return self.place.check(seen)

    def change(self) -> Statistic:
        return auroc_change(self.reference, self.candidate)


def _cross_checked(check: Check, bound: float | None) -> Check:
    """A pass stands only where the bound by drawing patients rules the margin out as well."""
    check = replace(check, bootstrap_lower=bound)
    if check.outcome != PASS or check.margin is None or check.asks_nothing:
        return check
    if bound is not None and bound > -check.margin:
        return check
    words = "no draw has a value" if bound is None else f"lower bound {bound:+.3f}"
    reason = (
        f"{check.reference:.3f} -> {check.candidate:.3f}, the bound rules out a loss of {check.margin:.4g} "
        f"({check.lower_bound:+.3f}), drawing patients anew does not ({words})"
    )
    return replace(check, outcome=INCONCLUSIVE, reason=reason)


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
    # Answers that an older version kept know no views; the reference's are those of the same cases.
    views = () if reference.views is None or candidate.views is None else ("views",)
    for name in ("case_ids", "patient_ids", "body_parts", "labels", *views):
        if not np.array_equal(getattr(reference, name), getattr(candidate, name)):
            return f"{name} are not the reference's, in the reference's order"
    return ""


def _name(ids: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(ids) - _IDS_NAMED} more" if len(ids) > _IDS_NAMED else ""
    return ", ".join(ids[:_IDS_NAMED]) + more


def _flips(
    reference: Predictions, candidate: Predictions, points: OperatingPoints, own: OperatingPoints | None
) -> Iterator[Flip]:
    before, after = reference.probabilities, candidate.probabilities
    moved = thresholds(own or points)
    for point, threshold in thresholds(points).items():
        for i in np.flatnonzero((before >= threshold) != (after >= moved[point])).tolist():
            rises = bool(after[i] >= moved[point])
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
                candidate_threshold=None if own is None else moved[point],
            )
