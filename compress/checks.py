"""One figure compared: what a gate says of it, on all images or on one body part or view."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from compress.margin import ABSOLUTE, Margin

PASS, FAIL, INCONCLUSIVE, NOTED = "pass", "fail", "inconclusive", "noted"
DRIFT_TITLES = {
    "ece": "expected calibration error",
    "probability": "mean probability",
    "located": "peak of the evidence in a fracture's box",
}
"""What a candidate's answers may drift in, by the check's metric."""
_TITLES = {"auroc": "AUROC", **DRIFT_TITLES}
_POINT_TITLES = {
    "high_sensitivity": "high-sensitivity point",
    "high_specificity": "high-specificity point",
    "floor": "against the floor",
}


@dataclass(frozen=True)
class Group:
    """Which images: of a body part, of a view, or all of them."""

    body_part: str = ""
    view: str = ""


ALL_IMAGES = Group()


@dataclass(frozen=True)
class Check:
    """One figure compared.

    metric: auroc | sensitivity | specificity | answers, of drift ece | probability | located. outcome: pass |
    fail | inconclusive, of a drift that is not shown to exceed its limit noted. margin: the largest loss
    allowed (of drift, the limit) as a difference; margin_kind and margin_share say where it is that share of
    the reference's figure. point: which operating point, "" for none. body_part, view: "" for all images.
    difference: candidate minus reference, with its one-sided bounds. n: images that the figure is over.
    patients: those that it rests on, of AUROC on the side that has fewer. p_value: one-sided, of a loss
    beyond the margin. p_adjusted: the same among all subgroup checks of this comparison (Holm).
    bootstrap_lower: the lower bound by drawing patients. reason: why it did not pass, "" if it did. against:
    what the candidate was compared with, "" for the original checkpoint. Numbers are None where they do not
    exist.
    """

    metric: str
    outcome: str
    margin: float | None
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
    view: str = ""
    margin_kind: str = ABSOLUTE
    margin_share: float | None = None
    patients: int = 0
    p_value: float | None = None
    p_adjusted: float | None = None
    bootstrap_lower: float | None = None

    @property
    def title(self) -> str:
        """What a person calls it: "sensitivity, high-specificity point, hand"."""
        name = _TITLES.get(self.metric, self.metric)
        view = self.view and f"{self.view} view"
        against = self.against and f"against {self.against}"
        words = (name, _POINT_TITLES.get(self.point, self.point), self.body_part, view, against)
        return ", ".join(filter(None, words))

    @property
    def asks_nothing(self) -> bool:
        """Whether no loss and no drift is too large for it."""
        allowed = self.margin if self.margin_share is None else self.margin_share
        return allowed is not None and allowed >= 1

    @property
    def is_subgroup(self) -> bool:
        """Whether it looks at one body part or view only."""
        return bool(self.body_part or self.view)

    @property
    def is_drift(self) -> bool:
        """Whether it is about how the answers moved, not about how good they are."""
        return self.metric in DRIFT_TITLES

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it."""
        return {"title": self.title, **asdict(self)}


@dataclass(frozen=True)
class Measured:
    """What was seen of one figure: its two values and the one-sided bounds of their difference."""

    n: int
    reference: float
    candidate: float
    lower: float
    upper: float
    p_value: float | None = None
    patients: int = 0


@dataclass(frozen=True)
class Place:
    """Which check it is and how much it may lose."""

    metric: str
    point: str
    margin: Margin
    group: Group = ALL_IMAGES

    def missing(self, reason: str) -> Check:
        """The check of a figure that cannot be measured: it fails."""
        margin = None if self.margin.relative else self.margin.amount
        return Check(
            self.metric,
            FAIL,
            margin,
            point=self.point,
            body_part=self.group.body_part,
            view=self.group.view,
            reason=reason,
            margin_kind=self.margin.kind,
            margin_share=self._share,
        )

    def check(self, seen: Measured) -> Check:
        """Pass where a loss beyond the margin is ruled out, fail where one is shown."""
        margin = self.margin.absolute(seen.reference)
        outcome = self._outcome(seen, margin)
        return self.judged(seen, outcome, "" if outcome == PASS else self._why(outcome, seen, margin))

    def judged(self, seen: Measured, outcome: str, reason: str) -> Check:
        """The check with an outcome that the caller has worked out."""
        return Check(
            metric=self.metric,
            outcome=outcome,
            margin=self.margin.absolute(seen.reference),
            n=seen.n,
            reference=seen.reference,
            candidate=seen.candidate,
            difference=seen.candidate - seen.reference,
            lower_bound=seen.lower,
            upper_bound=seen.upper,
            point=self.point,
            body_part=self.group.body_part,
            reason=reason,
            view=self.group.view,
            margin_kind=self.margin.kind,
            margin_share=self._share,
            patients=seen.patients,
            p_value=seen.p_value,
        )

    @property
    def _share(self) -> float | None:
        return self.margin.amount if self.margin.relative else None

    def _outcome(self, seen: Measured, margin: float) -> str:
        if not (math.isfinite(seen.lower) and math.isfinite(seen.upper)):
            return FAIL
        # A bound of exactly -1 answers a margin that asks nothing.
        if seen.lower > -margin or self.margin.asks_nothing:
            return PASS
        return FAIL if seen.upper < -margin else INCONCLUSIVE

    def _why(self, outcome: str, seen: Measured, margin: float) -> str:
        values = f"{seen.reference:.3f} -> {seen.candidate:.3f}"
        allowed = (
            f"{margin:.4g} ({self.margin} of the reference's)" if self.margin.relative else f"{margin:g}"
        )
        if outcome == FAIL:
            return f"{values}, a loss of more than {allowed} is shown (upper bound {seen.upper:+.3f})"
        return f"{values}, a loss of {allowed} is not ruled out (lower bound {seen.lower:+.3f})"
