"""That betting against a true claim wins nothing, and against a false one does."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.edetector import Evidence, highest_mean

MOST = 0.3


def weeks(mean: float, number: int, seed: int, pictures: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.random(pictures) < mean).astype(float) for _ in range(number)]


def after(mean: float, number: int, seed: int) -> Evidence:
    evidence = Evidence()
    for week in weeks(mean, number, seed):
        evidence = evidence.after(week, MOST)
    return evidence


def test_at_the_largest_mean_that_is_allowed_the_evidence_grows_by_one_a_week_on_average() -> None:
    """The promise itself, over every course that three weeks of three pictures can take."""
    mean = 0.0
    for course in itertools.product((0.0, 1.0), repeat=9):
        evidence = Evidence()
        for week in np.reshape(course, (3, 3)):
            evidence = evidence.after(week, MOST)
        mean += MOST ** sum(course) * (1 - MOST) ** (9 - sum(course)) * evidence.now
    assert mean == pytest.approx(3)


def test_below_it_a_threshold_of_c_is_reached_within_t_weeks_in_less_than_t_of_c_sites() -> None:
    reached = np.mean([after(0.25, 30, seed).highest >= 200 for seed in range(400)])
    assert reached <= 30 / 200


def test_above_it_the_evidence_grows_without_bound_and_stays_a_number() -> None:
    evidence = after(0.9, 400, seed=1)
    assert evidence.highest > 1e12 and all(math.isfinite(each) for each in evidence.sums)


def test_an_alarm_within_a_week_is_not_lost_by_its_end() -> None:
    first = Evidence().after(np.ones(40), MOST)
    both = Evidence().after(np.concatenate([np.ones(40), np.zeros(200)]), MOST)
    assert both.highest == pytest.approx(first.highest) and both.now < 1


def test_an_empty_week_opens_one_bet_and_says_nothing() -> None:
    assert Evidence().after(np.array([]), MOST).now == pytest.approx(1)


def test_where_any_mean_is_allowed_nothing_is_ever_found() -> None:
    assert Evidence().after(np.ones(500), 1.0).highest == pytest.approx(1)


@pytest.mark.parametrize("most", [0.0, -0.1, 1.1, math.nan])
def test_a_claim_that_is_none_is_refused(most: float) -> None:
    with pytest.raises(ValueError, match="most must be"):
        Evidence().after(np.ones(1), most)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_values_out_of_bounds_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="values must lie"):
        Evidence().after(np.array([value]), MOST)


@given(st.floats(0, 1), st.integers(1, 5000))
def test_the_highest_mean_lies_above_what_was_seen_and_falls_with_their_number(
    seen: float, count: int
) -> None:
    bound = highest_mean(seen, count, 0.01)
    assert seen <= bound <= 1 and highest_mean(seen, 4 * count, 0.01) <= bound + 1e-12


def test_the_highest_mean_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    failed = np.mean([highest_mean(float((rng.random(60) < 0.1).mean()), 60, 0.1) < 0.1 for _ in range(2000)])
    assert 0 < failed <= 0.1


def test_none_seen_in_n_is_the_known_closed_form() -> None:
    assert highest_mean(0.0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert highest_mean(0.2, 0, 0.05) == 1
