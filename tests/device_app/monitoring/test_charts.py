from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from device_app.agreement import Share
from device_app.monitoring.book import Expectation
from device_app.monitoring.charts import HEIGHT, WIDTH, course, expected_bins, histogram, weeks_of
from device_app.monitoring.weeks import BINS, WeekCount, WeekName
from runtime.expected import ExpectedAnswers, count_answers
from runtime.findings import OperatingPoints

POINTS = OperatingPoints(0.06, 0.45)


def test_bars_stand_side_by_side_as_high_as_their_shares() -> None:
    found = histogram([3, 1, 0, 0])
    assert found is not None and found.top == 1 and found.expected == ()
    assert [bar.height for bar in found.bars] == [0.75 * HEIGHT, 0.25 * HEIGHT, 0, 0]
    assert [bar.x for bar in found.bars] == [0, WIDTH / 4, WIDTH / 2, 3 * WIDTH / 4]
    assert all(bar.expected is None for bar in found.bars)


def test_a_reference_is_drawn_as_shares_of_its_own_number() -> None:
    found = histogram([1, 1], [300, 100])
    assert found is not None and found.expected == (0.75, 0.25)
    assert [bar.expected for bar in found.bars] == [0.75 * HEIGHT, 0.25 * HEIGHT]


def test_nothing_counted_is_no_histogram() -> None:
    assert histogram([0, 0], [1, 1]) is None and histogram([]) is None


def test_points_and_intervals_lie_within_the_chart_and_empty_weeks_are_left_out() -> None:
    found = course([Share(0, 5), Share(0, 0), Share(5, 5), Share(1, 300)])
    assert [point.x for point in found.points] == [WIDTH / 8, 5 * WIDTH / 8, 7 * WIDTH / 8]
    for point in found.points:
        assert 0 <= point.high <= point.y <= point.low <= HEIGHT


def test_a_change_of_limits_is_marked_in_its_week_or_in_the_next_with_pictures() -> None:
    weeks = [WeekCount(WeekName(2026, number)).figures() for number in (2, 3, 6)]
    days = [datetime.fromisocalendar(2026, week, 2) for week in (1, 3, 4, 7)]  # before, within, a gap, after
    assert weeks_of(days, weeks) == {1, 2} and weeks_of(days, []) == set()
    assert course([Share(1, 5)] * 3, {2, 1}).changed == (WIDTH / 2, 5 * WIDTH / 6)


def test_a_change_of_limits_is_marked_in_every_week_of_its_name_and_passes_no_week_of_a_wrong_clock() -> None:
    weeks = [WeekCount(WeekName(*name)).figures() for name in ((2026, 2), (2040, 1), (2026, 2), (2026, 5))]
    days = [datetime.fromisocalendar(2026, week, 2) for week in (2, 3)]
    assert weeks_of(days[:1], weeks) == {0, 2} and weeks_of(days[1:], weeks) == {3}


def test_a_course_without_any_week_is_empty() -> None:
    assert course([]).points == ()


def test_the_makers_counts_are_moved_into_bins_of_probability() -> None:
    rng = np.random.default_rng(1)
    healthy, fractured = rng.normal(-3, 1.3, 4000), rng.normal(1.5, 2.5, 800)
    answers = ExpectedAnswers(100, 0, count_answers(healthy, POINTS), count_answers(fractured, POINTS))
    found = expected_bins(Expectation("ab" * 32, POINTS, answers))
    chances = 1 / (1 + np.exp(-np.concatenate([healthy, fractured])))
    true, _ = np.histogram(chances, BINS, (0, 1))
    assert sum(found) == pytest.approx(4800)
    assert np.abs(np.array(found) - true).max() < 0.015 * 4800


def test_a_bundle_that_says_nothing_has_no_bins() -> None:
    assert expected_bins(Expectation("ab" * 32, POINTS, None)) == ()
