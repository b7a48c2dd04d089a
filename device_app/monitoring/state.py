"""Whether the box can be trusted now, with every reason against it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from device_app.intake.sources import SourceState
from device_app.intake.sources import Trouble as SourceTrouble
from device_app.monitoring.book import LATE, SiteWatch
from device_app.monitoring.weeks import WeekFigures
from device_app.status import Phase, ReaderStatus
from device_app.vitals import Trouble, Vitals, troubles

MANY_FAILURES = 3
"""Tries without any answer, in one week, from which somebody should look."""
_WEEKS_FOR_CLOCK = 8
_JUMP = timedelta(days=1)
_STEPS_BACK = 2
"""A clock that goes back by less, and again, begins at one time whenever the box is switched on."""
_QUIET_SOURCES = (
    SourceTrouble.NONE,
    SourceTrouble.STARTING,
    # Said of the box as it is now: a receiver hears of it again only with the next picture.
    SourceTrouble.DISK_FULL,
    SourceTrouble.QUEUE_FULL,
)


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
    LOG = "log"
    PICTURES = "pictures"
    SOURCE = "source"
    RETIRED = "retired"
    FULL = "full"
    QUEUE = "queue"
    HOT = "hot"
    THROTTLED = "throttled"
    MEMORY = "memory"
    DISK = "disk"
    BUSY = "busy"


_STOPS = (Why.CANNOT_ANSWER, Why.SCORES_UP, Why.SCORES_DOWN)


@dataclass(frozen=True)
class Reason:
    """why: what. week: since which, "" where it is of now. weeks: of the reference of one's own, 0 for none.

    count: of whatever is counted. source: the way in that is in trouble.
    """

    why: Why
    week: str = ""
    weeks: int = 0
    count: int = 0
    source: SourceState | None = None

    @property
    def level(self) -> Level:
        """How bad it is."""
        return Level.STOP if self.why in _STOPS else Level.LOOK


@dataclass(frozen=True)
class BoxNow:
    """All that is known of the box at this moment.

    known_utc: moments that have certainly been. has_room: on the disk. queue_full: whether pictures are
    turned away on account of those that wait. sources: the ways in besides the upload screen. log_changed:
    whether the log was found to be. missing: pictures that are to be on the disk and are not.
    """

    reader: ReaderStatus
    vitals: Vitals
    watched: SiteWatch
    now_utc: datetime
    known_utc: tuple[datetime, ...] = ()
    has_room: bool = True
    queue_full: bool = False
    sources: tuple[SourceState, ...] = ()
    log_changed: bool = False
    missing: int = 0


def reasons(box: BoxNow) -> tuple[Reason, ...]:
    """All that speaks against the box now, worst first."""
    found = [
        *_of_the_reader(box.reader),
        *_of_the_answers(box.watched),
        *_of_the_clock(box),
        *_of_what_comes_in(box),
        *([Reason(Why.LOG)] if box.log_changed else []),
        *([Reason(Why.PICTURES, count=box.missing)] if box.missing else []),
        *_of_the_machine(box),
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
    if reader.has_retired:
        yield Reason(Why.RETIRED)


def _of_the_answers(watched: SiteWatch) -> Iterator[Reason]:
    known = set()
    for alarm in watched.drift.alarms:
        why = Why(str(alarm.watched) if alarm.weeks else f"unlike_{alarm.watched}")
        if why not in known:
            known.add(why)
            yield Reason(why, week=str(watched.name_of(alarm)), weeks=alarm.weeks)
    this_week = _this_week(watched)
    failed = sum(week.failed for week in this_week)
    if failed >= MANY_FAILURES:
        week = str(this_week[-1].name) if this_week[0].name == this_week[-1].name else ""
        yield Reason(Why.FAILURES, week=week, count=failed)


def _this_week(watched: SiteWatch) -> Sequence[WeekFigures]:
    """The newest and those of its name; where the clock is not to be believed any of the latest may be."""
    latest = watched.weeks[-_WEEKS_FOR_CLOCK:]
    if _clock_went_wrong(watched) is not None:
        return latest
    return [week for week in latest if week.name == latest[-1].name]


def _clock_went_wrong(watched: SiteWatch) -> WeekFigures | None:
    """The latest week that begins with a step back, where there were several or one of more than a day.

    Of the weeks since somebody has looked and found all in order.
    """
    latest = watched.weeks[-_WEEKS_FOR_CLOCK:][-len(watched.watched) :] if watched.watched else ()
    steps = [week for week in latest if week.went_back]
    wrong = len(steps) >= _STEPS_BACK or any(week.went_back > _JUMP for week in steps)
    return steps[-1] if wrong else None


def _of_the_clock(box: BoxNow) -> Iterator[Reason]:
    wrong = _clock_went_wrong(box.watched)
    if wrong is not None:
        yield Reason(Why.CLOCK, week=str(wrong.name))
    elif any(box.now_utc < known - LATE for known in _certainly_been(box)):
        yield Reason(Why.CLOCK)


def _certainly_been(box: BoxNow) -> Iterator[datetime]:
    yield from box.known_utc
    if box.watched.last_utc is not None:
        yield box.watched.last_utc


def _of_what_comes_in(box: BoxNow) -> Iterator[Reason]:
    yield from (
        Reason(Why.SOURCE, source=source) for source in box.sources if source.trouble not in _QUIET_SOURCES
    )
    if box.queue_full:
        yield Reason(Why.QUEUE)


def _of_the_machine(box: BoxNow) -> Iterator[Reason]:
    if not box.has_room:
        yield Reason(Why.FULL)
    found = troubles(box.vitals)
    yield from (Reason(Why(each)) for each in found if box.has_room or each is not Trouble.DISK)
