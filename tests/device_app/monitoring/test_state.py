from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from device_app.intake.sources import SourceKind, SourceState
from device_app.intake.sources import Trouble as SourceTrouble
from device_app.monitoring.book import LATE, SiteWatch
from device_app.monitoring.state import MANY_FAILURES, BoxNow, Level, Reason, Why, level, reasons
from device_app.monitoring.tally import FAILED, Tally
from device_app.monitoring.weeks import WeekCount, WeekFigures, WeekName
from device_app.monitoring.words import reason_said
from device_app.status import Phase, ReaderStatus
from device_app.vitals import Vitals
from runtime import drift

READY = ReaderStatus(Phase.READY)
NOON = datetime(2026, 3, 4, 12)
WELL = Vitals(
    temperature_c=50, critical_c=100, memory_bytes=8, memory_free_bytes=4, load=0.4, throttled=False
)


def weeks(*names: tuple[int, int], failed: int = 0, back: timedelta = timedelta()) -> tuple[WeekFigures, ...]:
    """back: by how much the clock had gone back when the last one began."""
    steps = [*[timedelta()] * (len(names) - 1), back]
    counts = [WeekCount(WeekName(*name), step) for name, step in zip(names, steps, strict=True)]
    for _ in range(failed):
        counts[-1].add(1, Tally(FAILED, "timeout"))
    return tuple(count.figures() for count in counts)


def watched(figures: tuple[WeekFigures, ...] = (), *alarms: drift.Alarm) -> SiteWatch:
    names = tuple(week.name for week in figures)
    return SiteWatch("ab" * 32, figures, names, drift.Drift(alarms, len(names), 0, (), False), False)


NOTHING_SEEN = watched()


def found(
    reader: ReaderStatus = READY, vitals: Vitals = WELL, seen: SiteWatch = NOTHING_SEEN, **more: Any
) -> tuple[Reason, ...]:
    return reasons(BoxNow(reader, vitals, seen, NOON, **more))


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


def test_failures_of_before_the_clock_went_back_are_not_hidden_by_it() -> None:
    before = weeks((2026, 9), (2026, 10), failed=MANY_FAILURES)
    after = weeks((2026, 3), back=timedelta(days=40))
    against = found(seen=watched((*before, *after)))
    assert (against[0].why, against[0].count) == (Why.FAILURES, MANY_FAILURES)
    assert Why.FAILURES not in [reason.why for reason in found(seen=watched((*before, *weeks((2026, 11)))))]


def test_a_clock_that_went_back_by_more_than_a_day_is_said() -> None:
    (reason,) = found(seen=watched(weeks((2026, 5), (1970, 1), back=timedelta(days=20_000))))
    assert (reason.why, reason.week) == (Why.CLOCK, "1970-W01")


def test_a_clock_that_was_set_back_once_by_an_hour_is_not_said_and_twice_is() -> None:
    once = weeks((2026, 5), (2026, 5), back=timedelta(hours=1))
    assert found(seen=watched(once)) == ()
    assert [reason.why for reason in found(seen=watched((*once, once[-1])))] == [Why.CLOCK]


def test_one_small_step_back_makes_no_week_of_eight() -> None:
    names = [(2026, number) for number in range(1, 9)]
    few = tuple(
        one
        for number, name in enumerate(names)
        for one in weeks(name, failed=number % 3 == 0, back=timedelta(minutes=11 * (number == 4)))
    )
    assert sum(week.failed for week in few) == MANY_FAILURES and found(seen=watched(few)) == ()


def test_the_clock_is_said_of_the_week_in_which_it_went_wrong_until_somebody_has_looked() -> None:
    jumped = weeks((2026, 5), (2026, 2), back=timedelta(days=20))
    later = weeks((2026, 3), (2026, 4))
    seen = watched((*jumped, *later))
    assert [(one.why, one.week) for one in found(seen=seen)] == [(Why.CLOCK, "2026-W02")]
    begun = replace(seen, watched=tuple(week.name for week in later), begun_anew=True)
    assert found(seen=begun) == ()


def test_a_jump_of_long_ago_is_forgotten() -> None:
    jump = weeks((2099, 1), (2026, 1), back=timedelta(days=20_000))
    later = weeks(*((2026, number) for number in range(2, 10)))
    assert found(seen=watched((*jump, *later))) == ()
    assert found(seen=watched((*jump, *later[:-1]))) != ()


@pytest.mark.parametrize("known", [timedelta(hours=1), timedelta(days=9000)])
def test_a_clock_that_is_before_what_has_certainly_been_is_said(known: timedelta) -> None:
    assert [one.why for one in found(known_utc=(NOON + known,))] == [Why.CLOCK]
    last = SiteWatch("ab" * 32, (), (), drift.Drift((), 0, 0, (), False), False, last_utc=NOON + known)
    assert [one.why for one in found(seen=last)] == [Why.CLOCK]
    assert found(known_utc=(NOON + LATE, NOON - known)) == ()


QUIET = (SourceTrouble.NONE, SourceTrouble.STARTING, SourceTrouble.DISK_FULL, SourceTrouble.QUEUE_FULL)


@pytest.mark.parametrize("trouble", list(SourceTrouble))
def test_every_trouble_of_a_way_in_is_a_reason_but_a_start_and_what_the_box_itself_says(
    trouble: SourceTrouble,
) -> None:
    sources = (SourceState(SourceKind.DICOM, "ULNA", trouble), SourceState(SourceKind.FOLDER, "/srv"))
    against = found(sources=sources)
    assert bool(against) is (trouble not in QUIET)
    assert all(one.why is Why.SOURCE and one.level is Level.LOOK for one in against)
    assert all(reason_said(one).what.startswith("DICOM receiver: ") for one in against)


def test_an_engine_out_of_service_a_full_queue_and_a_changed_log_are_to_be_looked_at() -> None:
    status = ReaderStatus(Phase.READY, engine_reason="a passed; b is out of service: gave no number")
    against = found(status, queue_full=True, log_changed=True)
    assert {one.why for one in against} == {Why.RETIRED, Why.QUEUE, Why.LOG}
    assert level(against) is Level.LOOK


@pytest.mark.parametrize("why", [why for why in Why if why is not Why.SOURCE])
def test_every_reason_says_what_it_is_and_what_to_do(why: Why) -> None:
    said = reason_said(Reason(why))
    assert said.what and said.step


def test_each_trouble_of_the_box_itself_is_a_reason() -> None:
    bad = Vitals(99, 100, 100, 1, 100, 1, 9.0, 4, True)
    assert {str(reason.why) for reason in found(vitals=bad)} == {"hot", "throttled", "memory", "disk", "busy"}
    full = [reason.why for reason in found(has_room=False, vitals=bad)]
    assert Why.FULL in full and Why.DISK not in full and level(found(has_room=False)) is Level.LOOK
