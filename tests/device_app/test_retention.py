"""Whose time is over, by a clock that may jump, and how long the disk lasts."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from device_app import retention
from device_app.retention import Clock, Stored, days_left, look_at, overdue, removable

NOW = datetime(2027, 6, 1, 12)
TRUSTED = Clock(NOW, retention.PROVEN_AFTER)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def stored(number, days, ended=True, answered=True, consented=False):
    return Stored(number, NOW - timedelta(days=days), ended, answered, consented)


def test_pictures_are_kept_for_ever_unless_the_clinic_says_otherwise():
    assert overdue([stored(1, 30_000)], 0, NOW) == ()


def test_those_whose_time_is_over_go_oldest_first():
    pictures = [stored(1, 91), stored(2, 400), stored(3, 89), stored(4, 90)]
    assert overdue(pictures, 90, NOW) == (2, 1)


@pytest.mark.parametrize("kind", [{"answered": False}, {"consented": True}])
def test_without_an_answer_or_with_consent_they_stay_twice_as_long(kind):
    assert overdue([stored(1, 179, **kind)], 90, NOW) == ()
    assert overdue([stored(1, 181, **kind)], 90, NOW) == (1,)


def test_none_came_before_one_that_came_earlier_nor_before_there_was_this_program():
    old, past = datetime(2000, 1, 2), retention.FIRST_UTC
    came = [old, NOW - 5 * DAY, old, NOW + DAY, NOW - 2 * DAY, NOW - 3 * DAY]
    expected = [past, NOW - 5 * DAY, NOW - 5 * DAY, NOW + DAY, NOW - 2 * DAY, NOW - 2 * DAY]
    assert retention.believed(came, NOW) == expected
    assert retention.believed([old], datetime(2001, 1, 1)) == [old], "that has not been yet"


def test_what_waits_or_is_being_read_never_goes():
    assert overdue([stored(1, 30_000, ended=False, answered=False)], 90, NOW) == ()


def test_a_new_clock_is_not_trusted_before_it_has_run_for_days():
    clock = look_at(None, NOW, timedelta(0))
    for hour in range(71):
        clock = look_at(clock, NOW + (hour + 1) * HOUR, HOUR)
        assert not clock.is_trusted
    assert look_at(clock, NOW + 72 * HOUR, HOUR).is_trusted


@pytest.mark.parametrize(
    "jump", [timedelta(days=8), timedelta(days=26_000), -2 * HOUR, -timedelta(days=9000)]
)
def test_a_clock_that_jumps_must_prove_itself_anew(jump):
    jumped = look_at(TRUSTED, NOW + jump, 10 * timedelta(minutes=1))
    assert not jumped.is_trusted
    back = look_at(jumped, NOW, timedelta(0))
    assert not back.is_trusted, "the way back is a jump too"


def test_a_weekend_without_power_is_no_jump():
    assert look_at(TRUSTED, NOW + 3 * DAY, timedelta(0)).is_trusted


def test_a_clock_that_is_not_trusted_removes_nothing_and_says_so():
    found = removable((1, 2, 3), 100, 0, Clock(NOW))
    assert found.image_ids == () and (found.waiting, found.why) == (3, "clock")


def test_only_a_small_share_goes_in_a_day():
    found = removable(tuple(range(1000)), 1000, 0, TRUSTED)
    assert len(found.image_ids) == 50 and (found.waiting, found.why) == (950, "share")
    assert removable(tuple(range(1000)), 1000, 50, TRUSTED).image_ids == ()
    assert len(removable(tuple(range(30)), 30, 0, TRUSTED).image_ids) == retention.LEAST_A_DAY


def test_the_share_is_enough_for_the_shortest_time_that_can_be_chosen():
    a_day = 100
    assert a_day <= retention.SHARE_A_DAY * a_day * retention.MIN_DAYS


def test_the_disk_lasts_as_long_as_pictures_come_as_they_did():
    assert days_left(100 << 30, 14 << 30, 14 * DAY) == pytest.approx(100)
    assert days_left(-5, 1 << 30, DAY) == 0
    assert days_left(100 << 30, 0, DAY) is None
