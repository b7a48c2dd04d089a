"""The figures of a store that goes on growing, through several bundles and clocks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from device_app.monitoring.book import Book, Expectation, alarms, book_of
from device_app.monitoring.weeks import WeekName
from device_app.readings import Draft, Judgement, Kind
from device_app.store import Store
from device_app.store.database import now_utc
from device_app.store.models import Tally
from device_app.store.queue import FailureCode
from device_app.store.tallies import begin_anew
from tests.device_app import sample
from tests.device_app.monitoring.sites import BUNDLE, MONDAY, POINTS, Made, fill

OTHER = "cd" * 32


def later(weeks: int) -> datetime:
    return MONDAY + timedelta(weeks=weeks)


def test_a_store_without_pictures_has_no_weeks_and_no_alarms(store: Store) -> None:
    found = Book(store.database).look()
    assert found.weeks == () and found.drift.alarms == () and alarms(store) == []


def test_looking_often_and_looking_once_give_the_same(store: Store) -> None:
    often = Book(store.database)
    for number in range(3):
        fill(store, Made(weeks=4, start=later(4 * number), seed=number))
        often.look(BUNDLE)
    assert often.look(BUNDLE) == Book(store.database).look(BUNDLE)
    assert len(often.look(BUNDLE).weeks) == 12


def test_a_new_bundle_starts_anew_and_the_old_ones_weeks_stay_its_own(store: Store) -> None:
    fill(store, Made(weeks=10))
    fill(store, Made(weeks=2, start=later(9), bundle=OTHER, failed=2, seed=1))
    book = Book(store.database)
    new, old = book.look(OTHER), book.look(BUNDLE)
    assert book.look() == new and len(new.weeks) == 2 and len(old.weeks) == 10
    assert new.drift.references == () and old.drift.references == (8,)
    assert sum(week.failed for week in new.weeks) == 4 and sum(week.failed for week in old.weeks) == 0


@pytest.mark.parametrize("jump", [datetime(1970, 1, 1), datetime(2099, 6, 1)])
def test_weeks_of_a_clock_that_jumped_are_shown_as_they_are_where_they_happened(
    store: Store, jump: datetime
) -> None:
    fill(store, Made(weeks=3))
    fill(store, Made(weeks=1, start=jump, seed=1))
    fill(store, Made(weeks=2, start=later(3), seed=2))
    found = Book(store.database).look(BUNDLE)
    assert [week.name for week in found.weeks][3] == WeekName.of(jump)
    assert len(found.weeks) == 6 and sum(week.pictures for week in found.weeks) == 360


def names(store: Store) -> list[str]:
    return [str(week.name) for week in Book(store.database).look(BUNDLE).weeks]


def one_at(store: Store, at: datetime, seed: int) -> None:
    fill(store, Made(weeks=1, pictures=1, start=at, seed=seed))


def test_a_clock_set_back_into_a_week_that_is_known_adds_nothing_to_it(store: Store) -> None:
    """What fell after that is told as what fell, and is not taken as usual."""
    fill(store, Made(weeks=20))
    before = Book(store.database).look(BUNDLE).weeks
    for number in range(12):
        start = later(3) + timedelta(minutes=number)
        fill(store, Made(weeks=1, shift=-1.0, start=start, seed=100 + number))
    found = Book(store.database).look(BUNDLE)
    assert found.weeks[:20] == before and len(found.weeks) == 32
    assert {str(alarm.watched) for alarm in found.drift.alarms} == {"scores_down"}
    assert found.weeks[20].went_back > timedelta(weeks=15) and found.weeks[19].went_back == timedelta()


def test_an_alarm_stays_whatever_the_clock_does_then(store: Store) -> None:
    fill(store, Made(weeks=20))
    fill(store, Made(weeks=8, shift=-1.0, start=later(20), seed=1))
    standing = alarms(store, BUNDLE)
    for number in range(10):
        fill(store, Made(weeks=1, start=later(3) + timedelta(minutes=number), seed=200 + number))
    assert standing and alarms(store, BUNDLE) == standing


def test_a_clock_that_begins_at_one_date_whenever_the_box_is_switched_on_blinds_nobody(store: Store) -> None:
    for number in range(26):
        start = datetime(1970, 1, 1, 9) + timedelta(minutes=number)
        fill(store, Made(weeks=1, shift=-1.0 if number >= 13 else 0.0, start=start, seed=300 + number))
    assert names(store) == ["1970-W01"] * 26
    assert {alarm["what"] for alarm in alarms(store, BUNDLE)} == {"scores_down"}


def test_a_clock_that_is_only_set_right_begins_no_week(store: Store) -> None:
    one_at(store, MONDAY, 1)
    one_at(store, MONDAY - timedelta(minutes=9), 2)
    assert names(store) == ["2026-W02"]


def test_a_picture_that_ends_over_midnight_beside_another_one_belongs_to_the_week_that_has_begun(
    store: Store,
) -> None:
    midnight = MONDAY.replace(hour=0)
    for seed, seconds in enumerate((-60, 1, -1, 2)):
        one_at(store, midnight + timedelta(seconds=seconds), seed)
    assert names(store) == ["2026-W01", "2026-W02"]


def test_the_last_week_is_that_of_the_last_picture(store: Store) -> None:
    fill(store, Made(weeks=3, pictures=20))
    one_at(store, datetime(2040, 1, 2, 9), 9)
    fill(store, Made(weeks=1, pictures=2, start=later(2) + timedelta(minutes=3), failed=10, seed=11))
    found = Book(store.database).look(BUNDLE)
    assert names(store)[-2:] == ["2040-W01", "2026-W04"] and found.weeks[-1].failed == 10
    assert found.last_utc == later(2) + timedelta(days=1, minutes=3)


def test_the_first_weeks_that_are_compared_with_are_those_that_came_first(store: Store) -> None:
    fill(store, Made(weeks=9))
    fill(store, Made(weeks=1, start=later(1), seed=1))
    found = Book(store.database).look(BUNDLE)
    assert found.drift.references == (8,) and found.usual == found.weeks[:8]


def test_a_change_is_told_to_machines_until_somebody_begins_anew(store: Store) -> None:
    fill(store, Made(weeks=12, pictures=120))
    assert alarms(store, BUNDLE) == []
    fill(store, Made(weeks=6, pictures=120, start=later(12), shift=1.0, seed=1))
    (alarm,) = alarms(store, BUNDLE)
    assert alarm["what"] == "scores_up" and alarm["against"] == "first 8 weeks"
    assert "2026-W14" <= alarm["week"] <= "2026-W19" and alarm["bundle_sha256"] == BUNDLE
    begin_anew(store.database, "p1", BUNDLE)
    assert alarms(store, BUNDLE) == []
    fill(store, Made(weeks=9, pictures=120, start=later(18), shift=1.0, seed=2))
    found = book_of(store).look(BUNDLE)
    assert found.drift.alarms == () and found.drift.references == (8,) and found.begun_anew
    assert len(found.weeks) == 27 and found == Book(store.database).look(BUNDLE)


def test_after_a_beginning_anew_the_bundle_is_not_compared_with(store: Store) -> None:
    expectation = Expectation(BUNDLE, POINTS, sample_expected())
    fill(store, Made(weeks=7, pictures=120, shift=1.5))
    (alarm,) = alarms(store, BUNDLE, expectation)
    assert (alarm["what"], alarm["against"]) == ("scores_up", "bundle")
    assert alarms(store, BUNDLE) == []
    begin_anew(store.database, "p1", BUNDLE)
    fill(store, Made(weeks=7, pictures=120, start=later(7), shift=1.5, seed=1))
    assert alarms(store, BUNDLE, expectation) == []


def test_a_box_whose_first_pictures_all_fail_shows_that(store: Store, receive) -> None:
    book = Book(store.database)
    receive(sample.picture(sample.NONE))
    store.queue.fail(store.queue.claim("a"), FailureCode.FILE_LOST)
    assert [week.failed for week in book.look(BUNDLE).weeks] == [1]
    fill(store, Made(weeks=1))
    assert sum(week.failed for week in book.look(BUNDLE).weeks) == 1
    assert book.look(BUNDLE) == Book(store.database).look(BUNDLE)


def test_what_people_said_stands_in_the_week_in_which_they_did(store: Store, receive, work_off) -> None:
    first, second = (receive(sample.picture(gap)) for gap in (sample.FRACTURE, sample.NONE))
    work_off()
    store.readings.add(first.public_id, Draft(Kind.OWN, Judgement.NONE), "p1", lambda _: "fracture")
    store.readings.add(second.public_id, Draft(Kind.OWN, Judgement.NONE), "p1", lambda _: "none")
    store.readings.add(second.public_id, Draft(Kind.OUTCOME, Judgement.FRACTURE), "p1", lambda _: "none")
    people = Book(store.database).look().weeks[-1].people
    assert (people.own.count, people.own.total) == (1, 2)
    assert (people.outcome.count, people.outcome.total) == (1, 1)
    bundle = Book(store.database).look().bundle_sha256
    earlier = now_utc() - timedelta(minutes=30)
    fill(store, Made(weeks=1, pictures=1, start=earlier, bundle=bundle))
    weeks = Book(store.database).look(bundle).weeks
    assert len(weeks) == 2
    told = [week.people.own.total for week in weeks if week.name == WeekName.of(now_utc())]
    assert sum(told) == 2  # once, however many weeks have that name


def sample_expected():
    import numpy as np

    from runtime.expected import ExpectedAnswers, count_answers

    rng = np.random.default_rng(8)
    healthy, fractured = rng.gamma(2.4, 0.85, 500) - 5.2, rng.normal(1.6, 2.5, 100)
    return ExpectedAnswers(150, 5, count_answers(healthy, POINTS), count_answers(fractured, POINTS))


def test_a_site_that_lowers_its_limits_raises_no_alarm_and_loses_none(store: Store) -> None:
    """What came is the same, so the watch says the same, alarms that stand included."""
    fill(store, Made(weeks=14, pictures=120))
    fill(store, Made(weeks=4, pictures=120, start=later(14), seed=1, shift=-1.0))
    before = book_of(store).look(BUNDLE).drift.alarms
    with store.database.write() as session:
        for row in session.query(Tally).filter(Tally.probability.is_not(None)):
            if row.probability < POINTS.high_sensitivity and row.probability >= 0.01:
                row.verdict = "doubt"
                row.detail_json = json.dumps({**json.loads(row.detail_json), "by_bundle": "none"})
    found = Book(store.database).look(BUNDLE)
    assert found.drift.alarms == before != ()
    assert found.weeks[0].doubt.count > 10
