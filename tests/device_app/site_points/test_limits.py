from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.agreement import Share
from device_app.site_points.limits import (
    STEPS,
    WIDEST,
    Steps,
    needed,
    points_at,
    promise_of,
    require_within,
    sensitive_at,
    specific_at,
    steps_of,
    widened,
)
from runtime.errors import InputError
from runtime.findings import GivenPoints, OperatingPoints, Verdict
from tests.device_app.site_points.made import BASE, expected

BASES = st.tuples(st.floats(0.005, 0.6), st.floats(0.02, 0.39)).map(
    lambda pair: OperatingPoints(pair[0], pair[0] + pair[1])
)
STEP = st.integers(-STEPS, STEPS)


@given(BASES, STEP, STEP)
def test_every_choice_is_within_bounds_and_found_again(
    base: OperatingPoints, sensitive: int, specific: int
) -> None:
    steps = Steps(sensitive, specific)
    try:
        points = points_at(base, steps)
    except InputError:
        assert sensitive_at(base, sensitive) > specific_at(base, specific)
        return
    require_within(GivenPoints(points, base))
    assert steps_of(base, points) == steps


@given(BASES, STEP, STEP, st.floats(0, 1))
def test_no_choice_makes_no_fracture_of_what_the_bundle_calls_a_fracture_nor_the_other_way(
    base: OperatingPoints, sensitive: int, specific: int, chance: float
) -> None:
    try:
        points = points_at(base, Steps(sensitive, specific))
    except InputError:
        return
    both = {base.decide(chance), points.decide(chance)}
    assert both != {Verdict.FRACTURE, Verdict.NONE}


@given(BASES)
def test_limits_rise_with_their_steps_and_no_step_is_the_bundles_own(base: OperatingPoints) -> None:
    for value_at in (sensitive_at, specific_at):
        values = [value_at(base, step) for step in range(-STEPS, STEPS + 1)]
        assert values == sorted(values) and len(set(values)) == len(values)
    assert points_at(base, Steps()) == base


@pytest.mark.parametrize(
    "steps", [Steps(STEPS + 1), Steps(-STEPS - 1), Steps(0, STEPS + 1), Steps(STEPS, -1)]
)
def test_steps_beyond_the_bounds_and_limits_that_cross_are_refused(steps: Steps) -> None:
    with pytest.raises(InputError):
        points_at(BASE, steps)


def test_a_bundle_with_one_limit_has_nothing_to_choose() -> None:
    with pytest.raises(InputError):
        points_at(OperatingPoints(0.3, 0.3), Steps(0, 1))


@pytest.mark.parametrize(
    "points", [OperatingPoints(0.46, 0.6), OperatingPoints(0.001, 0.45), OperatingPoints(0.06, 0.999)]
)
def test_limits_from_elsewhere_are_held_to_the_same_bounds(points: OperatingPoints) -> None:
    with pytest.raises(InputError, match="must lie within"):
        require_within(GivenPoints(points, BASE))


@given(st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_a_widened_interval_holds_the_plain_one(counts: tuple[int, int]) -> None:
    share = Share(*counts)
    low, high = widened(share)
    assert low <= share.interval[0] + 1e-12 and share.interval[1] <= high + 1e-12


@pytest.mark.parametrize("promised", [0.5, 0.72, 0.9, 0.95, 1.0])
def test_the_least_number_gives_an_interval_of_the_width_wanted_and_one_less_does_not(
    promised: float,
) -> None:
    def width(count: int) -> float:
        low, high = widened(Share(round(promised * count), count))
        return high - low

    least = needed(promised)
    assert width(least) <= WIDEST < width(least - 1)


def test_the_promise_is_the_makers_test_and_its_interval_counts_patients() -> None:
    promise = promise_of(expected(BASE))
    assert promise is not None
    assert (promise.sensitivity, promise.specificity) == (Share(90, 100), Share(150, 200))
    assert promise.unsuspected == Share(190, 200)
    assert promise.interval(promise.sensitivity) == pytest.approx(Share(90, 100).interval)
    assert promise_of(None) is None
