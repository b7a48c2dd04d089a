"""Whether what was made of an engine is faster."""

from __future__ import annotations

import pytest

from compress.faster import compare_speed, judge_speed
from runtime.latency import InTurns, Latency, LatencyOptions
from tests.runtime.test_latency import FEEDS, Clock, Worker


def seen(ratio: float, low: float, high: float) -> InTurns:
    return InTurns(Latency(10, 11, 12, 50), Latency(10 * ratio, 11, 12, 50), ratio, low, high)


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.97, 0.93, 1.0), (1.0, 0.99, 1.01), (1.2, 1.1, 1.3)])
def test_what_is_not_shown_to_be_faster_is_not(ratio: float, low: float, high: float) -> None:
    speed = judge_speed(seen(ratio, low, high))
    assert not speed.faster
    assert "not shown to be faster" in speed.sentence


def test_what_is_shown_to_be_faster_is_and_its_times_are_told() -> None:
    speed = judge_speed(seen(0.8, 0.75, 0.85))
    assert speed.faster
    assert speed.sentence == "8.00 ms instead of 10.00 ms, 0.80 [0.75, 0.85] of the time: faster"
    table = speed.to_json("whole", "pruned")
    assert (table["whole_ms"], table["pruned_ms"], table["sentence"]) == (10.0, 8.0, speed.sentence)


def test_of_two_engines_the_one_that_takes_less_time_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("runtime.latency.time", clock)
    slow, quick = Worker(0.009, clock), Worker(0.003, clock)
    options = LatencyOptions(warmup=1, runs=15, budget_s=1e6)
    assert compare_speed(slow, quick, FEEDS, options).faster
    assert not compare_speed(quick, slow, FEEDS, options).faster
