"""The figures of a store that goes on growing, through several bundles and clocks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from device_app.monitoring.book import Book, Expectation, alarms, book_of
from device_app.monitoring.weeks import WeekName
from device_app.readings import Draft, Judgement, Kind
from device_app.store import Store
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
