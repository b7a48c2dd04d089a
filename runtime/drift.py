"""Whether what comes to a box, or what it answers, has changed: weeks of answers in, alarms out. Pure.

Three things are watched, an examination being the unit, as pictures of one patient are alike:

    refusals      the share of its pictures that were refused
    scores_up     the rank of its quiet pictures' scores among those of the reference, risen
    scores_down   the same, fallen

Quiet are pictures that were answered "none". Nearly all of them show no fracture whatever the prevalence, so
that their scores can be compared between a site and the gate patients, and between seasons, without knowing
who had one; a shift of all scores shows in them just the same.

References: the bundle's expected answers until the site has a first one of its own, then the site's first
8, 16, 32 and 64 weeks (more weeks where few pictures come), each from when it is complete, as long as no
alarm has been raised. Early ones know less and notice what creeps; late ones know more and notice what is
small. What a reference leaves uncertain is allowed for in advance. Each pair of reference and thing has an
e-detector (runtime.edetector), and all together raise at most one false alarm in `weeks_between` weeks on
average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.edetector import Evidence, highest_mean
from runtime.expected import ExpectedAnswers, cumulative_at
from runtime.findings import OperatingPoints

Floats = NDArray[np.float64]
_RANK_SPREAD = 1 / math.sqrt(12)  # standard deviation of a rank, which is even within 0 to 1


class Watched(StrEnum):
    """What an alarm is about."""

    REFUSALS = "refusals"
    SCORES_UP = "scores_up"
    SCORES_DOWN = "scores_down"


@dataclass(frozen=True)
class DriftOptions:
    """weeks_between: mean weeks to a false alarm, at least. failing: chance that some reference of one's own
    misleads, at most. tolerance: by how much a mean rank may differ without being a change (another
    prevalence moves it by less). first_weeks: of the first reference; `doublings` more follow. least:
    examinations in a reference.
    """

    weeks_between: float = 520.0
    failing: float = 0.05
    tolerance: float = 0.02
    first_weeks: int = 8
    doublings: int = 3
    least: int = 100

    @property
    def limit(self) -> float:
        """Of a single e-detector: as if each pair of reference (the bundle's too) and thing had a share."""
        return self.weeks_between * len(Watched) * (self.doublings + 2)

    @property
    def failing_each(self) -> float:
        """Chance that one bound of one reference of one's own does not hold."""
        return self.failing / (len(Watched) * (self.doublings + 1))


DEFAULTS = DriftOptions()


@dataclass(frozen=True, eq=False)
class WeekOfAnswers:
    """One week of N examinations, in the order in which they came.

    refused, unfamiliar: (N,) shares of each one's pictures that got no answer, and that the statistics of
    features refused. quiet_logits: (Q,) of pictures answered "none". quiet_of: (Q,) their examinations, by
    index, rising.
    """

    refused: Floats
    unfamiliar: Floats
    quiet_logits: Floats
    quiet_of: NDArray[np.int64]


@dataclass(frozen=True)
class Alarm:
    """watched: what has changed. weeks: of the reference of one's own, 0 for the bundle's. week: index of the
    week in which it was raised.
    """

    watched: Watched
    weeks: int
    week: int


@dataclass(frozen=True)
class Drift:
    """alarms: in the order in which they were raised. weeks, examinations: seen so far. references: weeks of
    those of one's own that are complete. bundle: whether the bundle's was used.
    """

    alarms: tuple[Alarm, ...]
    weeks: int
    examinations: int
    references: tuple[int, ...]
    bundle: bool


class Reference(Protocol):
    """What weeks are compared with."""

    weeks: int
    most_refused: float
    most_rank: float

    def shares(self, week: WeekOfAnswers) -> Floats:
        """(N,) shares of refused pictures of those kinds that this reference knows."""
        ...

    def ranks(self, logits: Floats) -> Floats:
        """(Q,) ranks within 0 to 1; their mean is 0.5 as long as nothing has changed."""
        ...


class BundleReference:
    """The maker's gate patients: of refusals only those for strangeness have a counterpart there."""

    weeks = 0

    def __init__(self, expected: ExpectedAnswers, points: OperatingPoints, options: DriftOptions) -> None:
        self._counts = expected.healthy.logits
        self._cut = math.log(points.high_sensitivity / (1 - points.high_sensitivity))
        self._quiet = float(cumulative_at(self._counts, np.array([self._cut]))[0])
        units = expected.patients if self._quiet > 0 else 0
        self.most_refused = highest_mean(expected.refusal_rate, expected.patients, options.failing_each)
        self.most_rank = _most_rank(units, options)

    def shares(self, week: WeekOfAnswers) -> Floats:
        """Of strange pictures."""
        return week.unfamiliar

    def ranks(self, logits: Floats) -> Floats:
        """Among the gate patients' quiet healthy pictures."""
        if self._quiet <= 0:
            return np.full(len(logits), 0.5)
        return np.clip(cumulative_at(self._counts, logits) / self._quiet, 0.0, 1.0)


class OwnReference:
    """The site's first weeks."""

    def __init__(self, weeks: Sequence[WeekOfAnswers], options: DriftOptions) -> None:
        self.weeks = len(weeks)
        self._sorted = np.sort(np.concatenate([week.quiet_logits for week in weeks]))
        refused = np.concatenate([week.refused for week in weeks])
        quiet_units = sum(len(np.unique(week.quiet_of)) for week in weeks)
        self.most_refused = highest_mean(float(refused.mean()), len(refused), options.failing_each)
        self.most_rank = _most_rank(quiet_units, options)

    def shares(self, week: WeekOfAnswers) -> Floats:
        """Of all refused pictures."""
        return week.refused

    def ranks(self, logits: Floats) -> Floats:
        """Among the quiet pictures of those weeks; equal ones share their ranks."""
        if not len(self._sorted):
            return np.full(len(logits), 0.5)
        below, upto = (np.searchsorted(self._sorted, logits, side) for side in ("left", "right"))
        return np.asarray((below + upto) / (2 * len(self._sorted)), np.float64)


@dataclass(frozen=True)
class _Comparison:
    reference: Reference
    evidence: dict[Watched, Evidence]

    def after(self, week: WeekOfAnswers) -> _Comparison:
        most_refused, most_rank = self.reference.most_refused, self.reference.most_rank
        ranks = _by_examination(self.reference.ranks(week.quiet_logits), week.quiet_of)
        told = {
            Watched.REFUSALS: (self.reference.shares(week), most_refused),
            Watched.SCORES_UP: (ranks, most_rank),
            Watched.SCORES_DOWN: (1.0 - ranks, most_rank),
        }
        return replace(self, evidence={what: self.evidence[what].after(*seen) for what, seen in told.items()})


def watch(
    weeks: Sequence[WeekOfAnswers], bundle: BundleReference | None = None, options: DriftOptions = DEFAULTS
) -> Drift:
    """Everything that is to be told of a site's weeks, oldest first."""
    running = [_begin(bundle)] if bundle is not None else []
    alarms: list[Alarm] = []
    own: list[int] = []
    for number, week in enumerate(weeks):
        running = [one.after(week) for one in running]
        alarms += _raised(running, alarms, number, options.limit)
        if not alarms and _is_complete(weeks[: number + 1], own, options):
            running = [one for one in running if one.reference.weeks]  # the bundle's has done its part
            running.append(_begin(OwnReference(weeks[: number + 1], options)))
            own.append(number + 1)
    seen = sum(len(week.refused) for week in weeks)
    return Drift(tuple(alarms), len(weeks), seen, tuple(own), bundle is not None)


def _begin(reference: Reference) -> _Comparison:
    return _Comparison(reference, dict.fromkeys(Watched, Evidence()))


def _is_complete(weeks: Sequence[WeekOfAnswers], own: Sequence[int], options: DriftOptions) -> bool:
    """Whether these weeks are the next reference of one's own; a slow site's are longer than planned."""
    wanted = 2 * own[-1] if own else options.first_weeks
    if len(own) > options.doublings or len(weeks) < wanted:
        return False
    return sum(len(week.refused) for week in weeks) >= options.least


def _raised(
    running: Sequence[_Comparison], before: Sequence[Alarm], week: int, limit: float
) -> Iterator[Alarm]:
    """Each once, at its first crossing."""
    known = {(alarm.watched, alarm.weeks) for alarm in before}
    for one in running:
        for what, evidence in one.evidence.items():
            if evidence.highest >= limit and (what, one.reference.weeks) not in known:
                yield Alarm(what, one.reference.weeks, week)


def _by_examination(values: Floats, owners: NDArray[np.int64]) -> Floats:
    """(Q,) values of pictures -> means of those examinations that have any."""
    if not len(values):
        return values
    starts = np.flatnonzero(np.diff(owners, prepend=owners[0] - 1))
    lengths = np.diff(starts, append=len(values))
    return np.asarray(np.add.reduceat(values, starts) / lengths, np.float64)


def _most_rank(units: int, options: DriftOptions) -> float:
    """Half, what a reference of so many units leaves uncertain (as of one rank each), and the tolerance."""
    if units < 1:
        return 1.0
    width = NormalDist().inv_cdf(1 - options.failing_each) * _RANK_SPREAD / math.sqrt(units)
    return min(1.0, 0.5 + width + options.tolerance)
