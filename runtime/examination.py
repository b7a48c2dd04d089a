"""Several views of one examination -> one answer. Pure.

A rule combines the views' logits; two thresholds decide. Either the bundle holds thresholds that were chosen
on whole examinations, or those of single images are used. For the mean of the logits these still mean what
they say: a mean lies where its views lie. The largest of several chances, and the chance that any view shows
a fracture, lie higher the more views there are, and add up the false alarms of all. One view that was read
alone is always judged by the thresholds of single images, and so gets its own verdict.

Two things go before the thresholds, for safety:
- Where a view by itself suspects a fracture, the examination is at least a doubt, whatever the rule makes of
  the others: some fractures show in one view only, and a suspicion is not to be averaged away in silence.
- Where a view could not be read and the others show nothing, the examination is unreadable and not a doubt.
  A doubt says that the pictures were seen and may show something, and asks for a reader; here a picture is
  missing, and what helps is to take it again. Unread views never hide what the others show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.findings import Findings, OperatingPoints, Verdict
from runtime.postprocess import probability

SCHEMA_VERSION = 1
_SMALLEST_CHANCE = 1e-300
_SMALLEST_TAIL = 1e-15
"""A probability this close to 0 or 1 is one to within rounding; its logit would be infinite."""

Logits = NDArray[np.float64]


def _mean(logits: Logits) -> float:
    return math.fsum(logits.tolist()) / len(logits)


def _max(logits: Logits) -> float:
    return float(np.max(logits))


def _noisy_or(logits: Logits) -> float:
    """The logit of 1 - (1 - p1)(1 - p2)…, worked out without ever forming 1 - p."""
    no_fracture = math.fsum(np.logaddexp(0.0, logits).tolist())  # -log of the product
    no_fracture = max(no_fracture, _SMALLEST_CHANCE)
    return float(no_fracture + np.log(-np.expm1(-no_fracture)))


RULES: dict[str, Callable[[Logits], float]] = {
    "mean_logit": _mean,
    "max_probability": _max,
    "noisy_or": _noisy_or,
}
"""How the views' logits become the examination's. Sums are exact, so that no order counts. noisy_or: each
view may show a fracture on its own (Pearl, "Probabilistic reasoning in intelligent systems", 1988, section
4.3.2).
"""
DEFAULT_RULE = "mean_logit"


@dataclass(frozen=True)
class ExaminationSpec:
    """What a bundle says of examinations.

    rule: one of RULES. operating_points: chosen on whole examinations, for two views read or more; None means
    those of single images. Raises ValueError for another rule.
    """

    rule: str = DEFAULT_RULE
    operating_points: OperatingPoints | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"examination rule must be one of {', '.join(RULES)}, got {self.rule!r}")


@dataclass(frozen=True, eq=False)
class Examination:
    """One answer for all views.

    verdict: none only where every view was read. views: each with its own findings, in the order given.
    probability, operating_points: of the whole, None when unreadable. rule: that combined the views.
    disagreement: a view by itself suspects a fracture and the combined probability does not: hence a doubt.

    Raises ValueError where these contradict each other.
    """

    verdict: Verdict
    views: tuple[Findings, ...]
    rule: str
    probability: float | None = None
    operating_points: OperatingPoints | None = None
    disagreement: bool = False

    def __post_init__(self) -> None:
        unreadable = self.verdict is Verdict.UNREADABLE
        _require(bool(self.views), "an examination needs a view")
        _require((self.probability is None) is unreadable, "a probability stands for an answer")
        _require((self.operating_points is None) is unreadable, "operating points stand for an answer")
        _require(not (unreadable and not self.unread), "every view was read, so there is an answer")
        if self.verdict is Verdict.NONE:
            _require(not self.unread, "a view that could not be read may show a fracture")
            _require(not _suspected(self.views), "a view by itself suspects a fracture")
        if self.probability is None or self.operating_points is None:
            return
        told = self.operating_points.decide(self.probability)
        raised = self.disagreement and (told, self.verdict) == (Verdict.NONE, Verdict.DOUBT)
        _require(
            raised or (told is self.verdict and not self.disagreement),
            f"probability says {told}, verdict says {self.verdict}",
        )

    @property
    def contributed(self) -> tuple[int, ...]:
        """Places, from 0, of the views that were read."""
        return tuple(place for place, view in enumerate(self.views) if view.refusal is None)

    @property
    def unread(self) -> tuple[int, ...]:
        """Places, from 0, of the views that were not; their findings say why."""
        return tuple(place for place, view in enumerate(self.views) if view.refusal is not None)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict (schemas/examination-1.json), without evidence maps."""
        points = self.operating_points
        return {
            "schema": SCHEMA_VERSION,
            "verdict": str(self.verdict),
            "probability": self.probability,
            "operating_points": None if points is None else vars(points).copy(),
            "rule": self.rule,
            "disagreement": self.disagreement,
            "contributed": list(self.contributed),
            "unread": [self._why_unread(place) for place in self.unread],
            "views": [view.to_json() for view in self.views],
            "notice": "AI result, not a diagnosis",
        }

    def _why_unread(self, place: int) -> dict[str, Any]:
        refusal = self.views[place].refusal
        assert refusal is not None
        return {"view": place, "code": str(refusal.code), "message": refusal.message}


def combine(views: Sequence[Findings], spec: ExaminationSpec) -> Examination:
    """The answer for all views together; their order changes nothing but the order in which they are kept.

    Raises ValueError without a view, and for views that were judged at different operating points.
    """
    kept = tuple(views)
    seen = [view for view in kept if view.refusal is None]
    points = {view.operating_points for view in seen}
    _require(bool(kept), "an examination needs a view")
    _require(len(points) <= 1, "views of one examination must be judged by one bundle")
    own = next(iter(points), None)
    if own is None:
        return Examination(Verdict.UNREADABLE, kept, spec.rule)
    used = own if len(seen) == 1 else spec.operating_points or own
    return _judge(kept, seen, spec.rule, used)


def _judge(
    views: tuple[Findings, ...], seen: Sequence[Findings], rule: str, points: OperatingPoints
) -> Examination:
    chance = _combined([view.probability for view in seen if view.probability is not None], rule)
    verdict = points.decide(chance)
    if verdict is not Verdict.NONE:
        return Examination(verdict, views, rule, chance, points)
    if _suspected(seen):
        return Examination(Verdict.DOUBT, views, rule, chance, points, disagreement=True)
    if len(seen) < len(views):
        return Examination(Verdict.UNREADABLE, views, rule)
    return Examination(Verdict.NONE, views, rule, chance, points)


def _suspected(views: Sequence[Findings]) -> bool:
    return any(view.verdict is Verdict.FRACTURE for view in views)


def _combined(chances: Sequence[float], rule: str) -> float:
    if len(chances) == 1:
        return chances[0]  # to the last digit, so that its verdict stays
    return probability(RULES[rule](np.array([logit_of(chance) for chance in chances], np.float64)))


def logit_of(chance: float) -> float:
    """The logit of a probability within 0 to 1; of 0 and 1 a large finite one."""
    inside = min(max(chance, _SMALLEST_TAIL), 1 - _SMALLEST_TAIL)
    return math.log(inside / (1 - inside))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
