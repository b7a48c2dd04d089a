"""Whether the box can be trusted now, with every reason against it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from device_app.monitoring.book import SiteWatch
from device_app.status import Phase, ReaderStatus
from device_app.vitals import Trouble, Vitals, troubles

MANY_FAILURES = 3
"""Tries without any answer, in one week, from which somebody should look."""
_WEEKS_FOR_CLOCK = 8


class Level(StrEnum):
    """What to make of the box, best first."""

    TRUST = "trust"
    LOOK = "look"
    STOP = "stop"


class Why(StrEnum):
    """What speaks against it."""

    CANNOT_ANSWER = "cannot_answer"
    NOT_READY = "not_ready"
    SCORES_UP = "scores_up"
    SCORES_DOWN = "scores_down"
    UNLIKE_UP = "unlike_scores_up"
    UNLIKE_DOWN = "unlike_scores_down"
    REFUSALS = "refusals"
    UNLIKE_REFUSALS = "unlike_refusals"
    FAILURES = "failures"
    CLOCK = "clock"
    FULL = "full"
    HOT = "hot"
    THROTTLED = "throttled"
    MEMORY = "memory"
    DISK = "disk"
    BUSY = "busy"


_STOPS = (Why.CANNOT_ANSWER, Why.SCORES_UP, Why.SCORES_DOWN)


@dataclass(frozen=True)
class Reason:
    """why: what. week: since which, "" where it is of now. weeks: of the reference of one's own, 0 for none.

    count: of whatever is counted.
    """

    why: Why
    week: str = ""
    weeks: int = 0
    count: int = 0

    @property
    def level(self) -> Level:
        """How bad it is."""
        return Level.STOP if self.why in _STOPS else Level.LOOK


def reasons(reader: ReaderStatus, has_room: bool, vitals: Vitals, watched: SiteWatch) -> tuple[Reason, ...]:
    """All that speaks against the box now, worst first."""
    found = [
        *_of_the_reader(reader),
        *_of_the_answers(watched),
        *([] if has_room else [Reason(Why.FULL)]),
        *(Reason(Why(trouble)) for trouble in troubles(vitals) if has_room or trouble is not Trouble.DISK),
    ]
    return tuple(sorted(found, key=lambda reason: reason.level is not Level.STOP))


def level(found: tuple[Reason, ...]) -> Level:
    """The one verdict."""
    order = list(Level)
    return max((reason.level for reason in found), key=order.index, default=Level.TRUST)


def _of_the_reader(reader: ReaderStatus) -> Iterator[Reason]:
    if reader.cannot_answer:
        yield Reason(Why.CANNOT_ANSWER)
    elif reader.phase is not Phase.READY:
        yield Reason(Why.NOT_READY)


def _of_the_answers(watched: SiteWatch) -> Iterator[Reason]:
    known = set()
    for alarm in watched.drift.alarms:
        why = Why(str(alarm.watched) if alarm.weeks else f"unlike_{alarm.watched}")
        if why not in known:
            known.add(why)
            yield Reason(why, week=str(watched.name_of(alarm)), weeks=alarm.weeks)
    if not watched.weeks:
        return
    newest = watched.weeks[-1]
    if newest.failed >= MANY_FAILURES:
        yield Reason(Why.FAILURES, week=str(newest.name), count=newest.failed)
    if newest.name < max(week.name for week in watched.weeks[-_WEEKS_FOR_CLOCK:]):
        yield Reason(Why.CLOCK, week=str(newest.name))
