from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from device_app.access.lockout import FREE_TRIES, Tally

NOON = datetime(2026, 1, 1, 12)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def after(failures: int) -> Tally:
    tally = Tally()
    for _ in range(failures):
        tally = tally.failed(NOON)
    return tally


def test_the_first_tries_cost_nothing_and_then_each_costs_twice_the_last() -> None:
    assert [after(number).wait(NOON) for number in range(FREE_TRIES + 1)] == [timedelta(0)] * (FREE_TRIES + 1)
    waits = [after(FREE_TRIES + number).wait(NOON) for number in range(1, 8)]
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE, HOUR]


def test_a_lock_ends_by_itself() -> None:
    assert after(FREE_TRIES + 1).wait(NOON + MINUTE) == timedelta(0)


@given(st.integers(0, 10_000), st.timedeltas(-timedelta(days=9000), timedelta(days=9000)))
def test_however_the_clock_jumps_nobody_waits_longer_than_an_hour(failures: int, jump: timedelta) -> None:
    now = NOON + jump
    tally = Tally(failures).failed(NOON).settled(now)
    wait = tally.wait(now)
    assert timedelta(0) <= wait <= HOUR
    assert tally.settled(now + wait).wait(now + wait) == timedelta(0)
