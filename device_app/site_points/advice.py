"""What to make of a site's examinations: nearly always that nothing is to be changed. Pure.

First the limits in force are judged. Only where an interval leaves out what the bundle promised, and enough
examinations of both kinds were followed up, and of those without a finding about as many as of the others,
is another limit proposed. What is said of a proposal does not hide that it was chosen on the same cases:

- its intervals are widened for all the limits among which was chosen (device_app.site_points.limits);
- its shares are corrected by how much such a choice flatters when it is repeated on draws from the same cases
  (Efron and Gong, "A leisurely look at the bootstrap, the jackknife and cross-validation", The American
  Statistician 37, 1983). Leaving out one case at a time would show nothing here: a fracture that is left out
  was found, so that the others choose a lower limit, by which it is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from device_app.agreement import Share
from device_app.site_points.cases import ALARMS, Case, Evidence, Figures, figures_at
from device_app.site_points.limits import (
    STEPS,
    Promise,
    Steps,
    needed,
    points_at,
    sensitive_at,
    specific_at,
    steps_of,
    widened,
)
from runtime.errors import InputError
from runtime.findings import OperatingPoints, Verdict

Flags = NDArray[np.bool_]
_ALL_STEPS = range(-STEPS, STEPS + 1)
_DRAWS = 200


class Advice(StrEnum):
    """What there is to say, in the order in which it is looked for."""

    NO_PROMISE = "no_promise"
    FEW = "few"
    LOPSIDED = "lopsided"
    MISSES = "misses"
    FALSE_ALARMS = "false_alarms"
    FALSE_SUSPICIONS = "false_suspicions"
    KEEP = "keep"


@dataclass(frozen=True)
class Proposal:
    """counted: on the very cases it was chosen on, which flatters. sensitivity, specificity: without what the
    choice flatters by.
    """

    steps: Steps
    points: OperatingPoints
    counted: Figures
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Judgement:
    """advice, and a proposal where there is one. needed_fractures, needed_others: before anything is."""

    advice: Advice
    proposal: Proposal | None = None
    needed_fractures: int = 0
    needed_others: int = 0


def judge(
    evidence: Evidence, base: OperatingPoints, points: OperatingPoints, promise: Promise | None
) -> Judgement:
    """points: in force. base: the bundle's own, from which steps are counted."""
    if promise is None:
        return Judgement(Advice.NO_PROMISE)
    least = needed(promise.sensitivity.value or 0.0), needed(promise.specificity.value or 0.0)
    cases = evidence.cases
    advice = _advice(evidence, figures_at(cases, points), promise, least)
    chosen = _ways(base, points, promise).get(advice)
    proposal = None if chosen is None else _propose(cases, base, points, chosen)
    return Judgement(advice, proposal, *least)


def is_lopsided(evidence: Evidence) -> bool:
    """Whether examinations without a finding were followed up less often than the others, beyond chance."""
    quiet, alarmed = evidence.followed_up(Verdict.NONE), evidence.followed_up(*ALARMS)
    return quiet.interval[1] < alarmed.interval[0]


def needs_confirmation(cases: Sequence[Case], points: OperatingPoints, promise: Promise | None) -> bool:
    """Whether the site's examinations leave open that fewer fractures are found than promised."""
    promised = None if promise is None else promise.sensitivity.value
    return promised is None or widened(figures_at(cases, points).sensitivity)[0] < promised


def _advice(evidence: Evidence, now: Figures, promise: Promise, least: tuple[int, int]) -> Advice:
    if now.sensitivity.total < least[0] or now.specificity.total < least[1]:
        return Advice.FEW
    if _below(now.sensitivity, promise.sensitivity):
        return Advice.MISSES  # those that nobody followed up can only make it worse
    if is_lopsided(evidence):
        return Advice.LOPSIDED
    if _below(now.specificity, promise.specificity):
        return Advice.FALSE_ALARMS
    if _below(now.unsuspected, promise.unsuspected):
        return Advice.FALSE_SUSPICIONS
    return Advice.KEEP


def _below(seen: Share, promised: Share) -> bool:
    return promised.value is not None and seen.interval[1] < promised.value


@dataclass(frozen=True)
class _Way:
    """How a limit is chosen. moves: which one. pick: of its steps, by (found of fractures, fine of others)
    at each of them; None where none will do.
    """

    moves: str
    pick: Callable[[Sequence[Share], Sequence[Share]], int | None]


def _ways(base: OperatingPoints, points: OperatingPoints, promise: Promise) -> dict[Advice, _Way]:
    now = steps_of(base, points)
    lower = [step for step in _ALL_STEPS if sensitive_at(base, step) < points.high_sensitivity]
    higher = [
        step
        for step in _ALL_STEPS
        if points.high_sensitivity < sensitive_at(base, step) <= points.high_specificity
    ]
    above = [step for step in _ALL_STEPS if specific_at(base, step) > points.high_specificity]
    found, fine = promise.sensitivity.value or 0.0, promise.specificity.value or 0.0
    unsuspected = promise.unsuspected.value or 0.0
    assert abs(now.sensitive) <= STEPS
    return {
        Advice.MISSES: _Way(
            "sensitive", lambda some, _: _last(lower, lambda step: _reaches(some, step, found))
        ),
        Advice.FALSE_ALARMS: _Way(
            "sensitive",
            lambda some, others: _first(
                higher,
                lambda step: widened(some[step + STEPS])[0] >= found and _reaches(others, step, fine),
            ),
        ),
        Advice.FALSE_SUSPICIONS: _Way(
            "specific", lambda _, others: _first(above, lambda step: _reaches(others, step, unsuspected))
        ),
    }


def _reaches(shares: Sequence[Share], step: int, wanted: float) -> bool:
    return (shares[step + STEPS].value or 0.0) >= wanted


def _first(steps: Sequence[int], holds: Callable[[int], bool]) -> int | None:
    return next(filter(holds, steps), None)


def _last(steps: Sequence[int], holds: Callable[[int], bool]) -> int | None:
    return next(filter(holds, reversed(steps)), None)


def _propose(
    cases: Sequence[Case], base: OperatingPoints, points: OperatingPoints, way: _Way
) -> Proposal | None:
    table = _Table(cases, base, points, way)
    step = table.choose()
    if step is None:
        return None
    steps = replace(steps_of(base, points), **{way.moves: step})
    try:
        chosen = points_at(base, steps)
    except InputError:  # the two would cross
        return None
    counted = figures_at(cases, chosen)
    flattery = table.flattery()
    corrected = (
        min(1.0, max(0.0, (share.value or 0.0) - by))
        for share, by in zip((counted.sensitivity, counted.specificity), flattery, strict=True)
    )
    return Proposal(steps, chosen, counted, *corrected)


class _Table:
    """What every case would get at every step of one limit, the other left as it is."""

    def __init__(
        self, cases: Sequence[Case], base: OperatingPoints, points: OperatingPoints, way: _Way
    ) -> None:
        self._way = way
        every = [_with(base, points, way.moves, step) for step in _ALL_STEPS]
        mildest = Verdict.NONE if way.moves == "sensitive" else Verdict.DOUBT
        self._now = _flags([_is_right(case, points) for case in cases])
        self._fine = _flags([[_is_right(case, one, mildest) for one in every] for case in cases])
        self._right = _flags([[_is_right(case, one) for one in every] for case in cases])
        self._fractured = _flags([case.truth.fractured for case in cases])

    def choose(self, times: NDArray[np.int64] | None = None) -> int | None:
        """The step; times: how often each case counts, once where nothing is said."""
        counted = np.ones(len(self._fractured), np.int64) if times is None else times
        some, others = counted * self._fractured, counted * ~self._fractured
        return self._way.pick(_weighed(self._fine, some), _weighed(self._fine, others))

    def flattery(self) -> tuple[float, float]:
        """By how much a step's sensitivity and specificity are higher on the draw that has chosen it than on
        the cases themselves, on average over draws of both kinds apart; the same draws each time.
        """
        random = np.random.default_rng(0)
        excess = [self._excess(self._draw(random)) for _ in range(_DRAWS)]
        some, others = np.mean(excess, axis=0).tolist()
        return float(some), float(others)

    def _draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        times = np.zeros(len(self._fractured), np.int64)
        for which in (self._fractured, ~self._fractured):
            own = np.flatnonzero(which)
            times += np.bincount(random.choice(own, len(own)), minlength=len(times))
        return times

    def _excess(self, times: NDArray[np.int64]) -> list[float]:
        step = self.choose(times)
        right = self._now if step is None else self._right[:, step + STEPS]
        return [
            float((right * times)[which].sum() - right[which].sum()) / int(which.sum())
            for which in (self._fractured, ~self._fractured)
        ]


def _flags(rows: Sequence[bool] | Sequence[Sequence[bool]]) -> Flags:
    return np.array(rows, bool)


def _weighed(flags: Flags, times: NDArray[np.int64]) -> list[Share]:
    total = int(times.sum())
    return [Share(int(count), total) for count in times @ flags]


def _with(base: OperatingPoints, points: OperatingPoints, moves: str, step: int) -> OperatingPoints:
    """With one limit moved, and the other at least out of its way."""
    if moves == "sensitive":
        low = sensitive_at(base, step)
        return OperatingPoints(low, max(low, points.high_specificity))
    high = specific_at(base, step)
    return OperatingPoints(min(high, points.high_sensitivity), high)


def _is_right(case: Case, points: OperatingPoints, mildest: Verdict = Verdict.NONE) -> bool:
    """A fracture that is called at least a doubt; another that is called no more than `mildest`."""
    verdict = case.answered.at(points)
    if case.truth.fractured:
        return verdict in ALARMS
    return verdict is Verdict.NONE or (mildest is Verdict.DOUBT and verdict is Verdict.DOUBT)
