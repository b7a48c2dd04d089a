"""Timing an engine."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from runtime.backends.base import INPUT_NAME, BackendOptions, TensorInfo
from runtime.backends.registry import open_backend
from runtime.latency import MIN_RUNS, LatencyOptions, measure, measure_in_turns, median_ranks, summarise
from tests.runtime.models import SIZE_PX, onnx_files

FEEDS = {INPUT_NAME: np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)}


class Sleeper:
    """An engine that takes a known time; counts its calls."""

    name = "sleeper"
    device = "cpu"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls = 0

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        time.sleep(self.seconds)
        return {}

    def close(self) -> None:
        """Nothing to free."""


def test_a_real_engine_is_timed() -> None:
    backend = open_backend("onnxruntime", onnx_files(), BackendOptions(threads=1))
    latency = measure(backend, FEEDS, LatencyOptions(warmup=2, runs=25))
    assert latency.runs == 25
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms


def test_times_are_milliseconds() -> None:
    latency = measure(Sleeper(0.005), FEEDS, LatencyOptions(warmup=0, runs=3))
    assert latency.p50_ms >= 5.0


def test_warm_up_runs_are_made_and_not_counted() -> None:
    sleeper = Sleeper(0.0)
    assert measure(sleeper, FEEDS, LatencyOptions(warmup=7, runs=20)).runs == 20
    assert sleeper.calls == 27


def test_a_spent_budget_ends_the_count_but_not_before_the_least_number() -> None:
    latency = measure(Sleeper(0.002), FEEDS, LatencyOptions(warmup=0, runs=10_000, budget_s=1e-6))
    assert latency.runs == MIN_RUNS


def test_fewer_runs_than_the_least_number_may_be_asked_for() -> None:
    assert measure(Sleeper(0.0), FEEDS, LatencyOptions(warmup=0, runs=2, budget_s=1e-6)).runs == 2


@pytest.mark.parametrize("options", [{"runs": 0}, {"warmup": -1}, {"budget_s": 0.0}])
def test_options_that_measure_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        LatencyOptions(**options)  # type: ignore[arg-type]


def test_percentiles_are_nearest_ranks() -> None:
    latency = summarise([float(number) for number in range(1, 101)])
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (50.0, 90.0, 99.0)


def test_one_outlier_moves_only_the_highest_percentile() -> None:
    latency = summarise([1.0] * 49 + [1000.0])
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (1.0, 1.0, 1000.0)


def test_no_times_are_no_latency() -> None:
    with pytest.raises(ValueError, match="no times"):
        summarise([])


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300))
def test_every_percentile_is_a_time_that_was_seen(times_ms: list[float]) -> None:
    latency = summarise(times_ms)
    assert {latency.p50_ms, latency.p90_ms, latency.p99_ms} <= set(times_ms)
    assert latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert latency.runs == len(times_ms)


class Clock:
    """Time passes only where an engine says so: what is measured does not depend on the machine."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("runtime.latency.time", made)
    return made


class Worker(Sleeper):
    """Takes longer from call to call, as on a machine that gets busier."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        super().__init__(seconds)
        self.clock = clock

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        self.clock.sleep(self.seconds * (1 + self.calls))
        return {}


def test_in_turns_the_ratio_is_that_of_the_two_engines_whatever_else_goes_on(clock: Clock) -> None:
    first, second = Worker(0.004, clock), Worker(0.008, clock)
    found = measure_in_turns(first, second, FEEDS, LatencyOptions(warmup=1, runs=20, budget_s=1e6))
    assert found.low == pytest.approx(2.0)
    assert found.ratio == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)
    assert found.second.p50_ms == pytest.approx(2 * found.first.p50_ms)
    assert found.first.runs == found.second.runs == 20


def test_in_turns_both_are_asked_equally_often_and_a_spent_budget_ends_it() -> None:
    first, second = Sleeper(0.002), Sleeper(0.002)
    measure_in_turns(first, second, FEEDS, LatencyOptions(warmup=3, runs=500, budget_s=0.001))
    assert first.calls == second.calls == 3 + MIN_RUNS


@given(st.integers(6, 400))
def test_the_interval_of_a_median_holds_it_as_often_as_a_sign_test_says(count: int) -> None:
    low, high = median_ranks(count)
    assert 0 <= low <= high < count
    assert low + high == count - 1
    assert binom.cdf(low, count, 0.5) <= 0.025 or low == 0
    assert binom.cdf(low + 1, count, 0.5) > 0.025
