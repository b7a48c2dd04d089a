from __future__ import annotations

import pytest

from device_app.monitoring.book import SiteWatch
from device_app.monitoring.state import MANY_FAILURES, Level, Reason, Why, level, reasons
from device_app.monitoring.tally import FAILED, Tally
from device_app.monitoring.weeks import WeekCount, WeekFigures, WeekName
from device_app.status import Phase, ReaderStatus
from device_app.vitals import Vitals
from runtime import drift

READY = ReaderStatus(Phase.READY)
WELL = Vitals(
    temperature_c=50, critical_c=100, memory_bytes=8, memory_free_bytes=4, load=0.4, throttled=False
)


def weeks(*names: tuple[int, int], failed: int = 0) -> tuple[WeekFigures, ...]:
    counts = [WeekCount(WeekName(*name)) for name in names]
    for _ in range(failed):
        counts[-1].add(1, Tally(FAILED, "timeout"))
    return tuple(count.figures() for count in counts)


def watched(figures: tuple[WeekFigures, ...] = (), *alarms: drift.Alarm) -> SiteWatch:
    names = tuple(week.name for week in figures)
    return SiteWatch("ab" * 32, figures, names, drift.Drift(alarms, len(names), 0, (), False), False)


NOTHING_SEEN = watched()


def found(
    reader: ReaderStatus = READY, room: bool = True, vitals: Vitals = WELL, seen: SiteWatch = NOTHING_SEEN
) -> tuple[Reason, ...]:
    return reasons(reader, room, vitals, seen)


def test_a_box_with_nothing_against_it_can_be_trusted() -> None:
    assert found() == () and level(()) is Level.TRUST
    assert level(found(seen=watched(weeks((2026, 1), (2026, 2))))) is Level.TRUST


@pytest.mark.parametrize(
    ("phase", "expected", "why"),
    [
        (Phase.CANNOT_ANSWER, Level.STOP, Why.CANNOT_ANSWER),
        (Phase.STOPPED, Level.STOP, Why.CANNOT_ANSWER),
        (Phase.STARTING, Level.LOOK, Why.NOT_READY),
        (Phase.RESTARTING, Level.LOOK, Why.NOT_READY),
    ],
)
def test_a_reader_that_does_not_read_is_never_trusted(phase: Phase, expected: Level, why: Why) -> None:
    against = found(ReaderStatus(phase))
    assert level(against) is expected and [reason.why for reason in against] == [why]


@pytest.mark.parametrize(
    ("what", "of_weeks", "why", "expected"),
    [
        (drift.Watched.SCORES_DOWN, 8, Why.SCORES_DOWN, Level.STOP),
        (drift.Watched.SCORES_UP, 16, Why.SCORES_UP, Level.STOP),
        (drift.Watched.REFUSALS, 8, Why.REFUSALS, Level.LOOK),
        (drift.Watched.SCORES_DOWN, 0, Why.UNLIKE_DOWN, Level.LOOK),
        (drift.Watched.SCORES_UP, 0, Why.UNLIKE_UP, Level.LOOK),
        (drift.Watched.REFUSALS, 0, Why.UNLIKE_REFUSALS, Level.LOOK),
    ],
)
def test_every_alarm_has_its_weight(what: drift.Watched, of_weeks: int, why: Why, expected: Level) -> None:
    against = found(seen=watched(weeks((2026, 1), (2026, 2)), drift.Alarm(what, of_weeks, 1)))
    assert [(reason.why, reason.week) for reason in against] == [(why, "2026-W02")]
    assert level(against) is expected


def test_the_same_change_against_two_references_is_said_once() -> None:
    alarms = [drift.Alarm(drift.Watched.REFUSALS, size, 1) for size in (8, 16)]
    assert len(found(seen=watched(weeks((2026, 1), (2026, 2)), *alarms))) == 1


def test_what_is_worst_stands_first() -> None:
    alarms = [drift.Alarm(what, 8, 1) for what in (drift.Watched.REFUSALS, drift.Watched.SCORES_DOWN)]
    against = found(seen=watched(weeks((2026, 1), (2026, 2)), *alarms))
    assert [reason.level for reason in against] == [Level.STOP, Level.LOOK]


def test_some_pictures_that_failed_are_to_be_looked_at_and_one_is_not() -> None:
    assert found(seen=watched(weeks((2026, 1), failed=MANY_FAILURES - 1))) == ()
    (reason,) = found(seen=watched(weeks((2026, 1), failed=MANY_FAILURES)))
    assert (reason.why, reason.count) == (Why.FAILURES, MANY_FAILURES)


@pytest.mark.parametrize("names", [((2026, 5), (1970, 1)), ((2099, 1), (2026, 6))])
def test_a_clock_that_went_back_is_said(names: tuple[tuple[int, int], ...]) -> None:
    assert [reason.why for reason in found(seen=watched(weeks(*names)))] == [Why.CLOCK]


def test_a_jump_of_long_ago_is_forgotten() -> None:
    later = [(2026, number) for number in range(1, 9)]
    assert found(seen=watched(weeks((2099, 1), *later))) == ()


def test_each_trouble_of_the_box_itself_is_a_reason() -> None:
    bad = Vitals(99, 100, 100, 1, 100, 1, 9.0, 4, True)
    assert {str(reason.why) for reason in found(vitals=bad)} == {"hot", "throttled", "memory", "disk", "busy"}
    full = [reason.why for reason in found(room=False, vitals=bad)]
    assert Why.FULL in full and Why.DISK not in full and level(found(room=False)) is Level.LOOK
