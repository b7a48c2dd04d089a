"""Weekly figures of what one bundle has answered. Pure: rows in, counts out, nothing of single patients.

A week is an ISO week by the box's clock, in UTC. Weeks stand in the order in which their pictures came,
whatever the clock said: a week of 1970 or of the future is shown as it is, and where the clock went back
another week begins, so that two may have one name (device_app.monitoring.book).
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_app.agreement import Share
from device_app.monitoring.tally import FAILED, Tally
from device_app.readings import Kind
from runtime.drift import WeekOfAnswers
from runtime.findings import PHOTOGRAPH_CODES, RefusalCode, Verdict

BINS = 20
"""Of the histogram of probabilities, equally wide within 0 to 1."""
_LEAST_CHANCE = 1e-9
_NO_FILM = frozenset(map(str, PHOTOGRAPH_CODES))
NOTHING = Share(0, 0)


@dataclass(frozen=True, order=True)
class WeekName:
    """An ISO year and week."""

    year: int
    week: int

    @classmethod
    def of(cls, at_utc: datetime) -> WeekName:
        """The week of a moment."""
        return _week_of(at_utc.date())

    def __str__(self) -> str:
        return f"{self.year}-W{self.week:02d}"


@lru_cache(maxsize=1024)
def _week_of(day: date) -> WeekName:
    year, week, _ = day.isocalendar()
    return WeekName(year, week)


@dataclass(frozen=True)
class Spread:
    """Of some durations: how many, median and 95th percentile, in milliseconds."""

    count: int
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Disagreement:
    """People beside the box in one week.

    own: readings given before the box's answer was seen that say something else than it. outcome: what the
    box had called otherwise than it was in the end (a doubt is right of a fracture, nothing unreadable is).
    """

    own: Share = NOTHING
    outcome: Share = NOTHING


@dataclass(frozen=True)
class WeekFigures:
    """pictures: tries that ended. refused: of those that were looked at; reasons: their codes. failures:
    codes of tries without any answer. fracture, doubt: of the answered. histogram: counts of probabilities
    in BINS. warnings: by kind. engines: pictures of each. stages: milliseconds of each engine and stage.
    went_back: by how much the clock had gone back when this week began.
    """

    name: WeekName
    pictures: int
    refused: Share
    fracture: Share
    doubt: Share
    histogram: tuple[int, ...]
    reasons: dict[str, int]
    failures: dict[str, int]
    warnings: dict[str, int]
    engines: dict[str, int]
    stages: dict[tuple[str, str], Spread]
    people: Disagreement = field(default_factory=Disagreement)
    went_back: timedelta = timedelta()

    @property
    def failed(self) -> int:
        """Tries without any answer."""
        return sum(self.failures.values())


class Picture(NamedTuple):
    """What the watch needs of one that was looked at: small, for there are many.

    verdict: by the bundle's own limits: what is watched is what comes, and a site that changes its limits
    changes nothing of that.
    """

    verdict: str
    reason: str
    probability: float | None


class WeekCount:
    """What is added up of one week, tally by tally."""

    def __init__(self, name: WeekName, went_back: timedelta = timedelta()) -> None:
        self.name, self._went_back = name, went_back
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._engines: Counter[str] = Counter()
        self._times_ms: defaultdict[tuple[str, str], array[float]] = defaultdict(_durations)
        self._chances = array("d")
        self._examinations: defaultdict[int, list[Picture]] = defaultdict(list)
        self._figures: WeekFigures | None = None

    def add(self, examination: int, said: Tally) -> None:
        """One more try."""
        self._figures = None
        if said.verdict == FAILED:
            self._failures[said.reason] += 1
            return
        self._verdicts[said.verdict] += 1
        for kind in said.warnings:
            self._warnings[kind] += 1
        if said.verdict == Verdict.UNREADABLE:
            self._reasons[said.reason] += 1
        if said.probability is not None:
            self._chances.append(said.probability)
            self._engines[said.engine] += 1
            for stage, spent_ms in said.timings_ms.items():
                self._times_ms[said.engine, stage].append(spent_ms)
        if said.reason in _NO_FILM:
            return  # how somebody holds a tablet says nothing of the radiographs that come
        verdict = said.by_bundle or said.verdict
        seen = Picture(sys.intern(verdict), sys.intern(said.reason), said.probability)
        self._examinations[examination].append(seen)

    def figures(self) -> WeekFigures:
        """All of it so far; kept until something is added."""
        if self._figures is None:
            self._figures = self._count()
        return self._figures

    def answers(self) -> WeekOfAnswers:
        """As the watch takes it (runtime.drift), examinations in the order in which they came."""
        return week_of_answers(list(self._examinations.values()))

    def _count(self) -> WeekFigures:
        looked_at = sum(self._verdicts.values())
        refused = self._verdicts[Verdict.UNREADABLE]
        answered = sum(self._verdicts[each] for each in (Verdict.FRACTURE, Verdict.DOUBT, Verdict.NONE))
        bins = np.minimum((np.array(self._chances) * BINS).astype(np.int64), BINS - 1)
        return WeekFigures(
            name=self.name,
            pictures=looked_at + sum(self._failures.values()),
            refused=Share(refused, looked_at),
            fracture=Share(self._verdicts[Verdict.FRACTURE], answered),
            doubt=Share(self._verdicts[Verdict.DOUBT], answered),
            histogram=tuple(np.bincount(bins, minlength=BINS).tolist()),
            reasons=dict(self._reasons.most_common()),
            failures=dict(self._failures.most_common()),
            warnings=dict(self._warnings.most_common()),
            engines=dict(self._engines.most_common()),
            stages={key: spread(spent_ms) for key, spent_ms in self._times_ms.items()},
            went_back=self._went_back,
        )


def _durations() -> array[float]:
    return array("d")


def spread(durations_ms: Sequence[float]) -> Spread:
    """Of at least one duration."""
    median, p95 = np.quantile(durations_ms, (0.5, 0.95))
    return Spread(len(durations_ms), float(median), float(p95))


def week_of_answers(examinations: Sequence[Sequence[Picture]]) -> WeekOfAnswers:
    """The pictures of each examination."""
    quiet = [
        (number, said.probability)
        for number, pictures in enumerate(examinations)
        for said in pictures
        if said.verdict == Verdict.NONE and said.probability is not None
    ]
    return WeekOfAnswers(
        refused=_shares(examinations, set(map(str, RefusalCode))),
        unfamiliar=_shares(examinations, {str(RefusalCode.UNFAMILIAR)}),
        quiet_logits=_logits([chance for _, chance in quiet]),
        quiet_of=np.array([number for number, _ in quiet], np.int64),
    )


def disagreement(said: Iterable[tuple[str, str, str]]) -> Disagreement:
    """Of (kind, judgement, the box's verdict) of each reading."""
    rows = list(said)
    own = [judgement != box for kind, judgement, box in rows if kind == Kind.OWN]
    ends = [_was_wrong(judgement, box) for kind, judgement, box in rows if kind == Kind.OUTCOME]
    return Disagreement(Share(sum(own), len(own)), Share(sum(ends), len(ends)))


def _was_wrong(outcome: str, box: str) -> bool:
    if outcome == Verdict.FRACTURE:
        return box not in (Verdict.FRACTURE, Verdict.DOUBT)
    return box != outcome


def _shares(examinations: Sequence[Sequence[Picture]], codes: set[str]) -> NDArray[np.float64]:
    """(N,) share of each one's pictures that were refused for one of these reasons."""
    return np.array(
        [
            sum(one.verdict == Verdict.UNREADABLE and one.reason in codes for one in pictures) / len(pictures)
            for pictures in examinations
        ],
        np.float64,
    )


def _logits(chances: Sequence[float]) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(chances, np.float64), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float64)
