"""How long one inference takes, measured so that two engines can be compared."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import Backend

MIN_RUNS = 10
CONFIDENCE = 0.95


@dataclass(frozen=True)
class LatencyOptions:
    """warmup: runs that are not counted. runs: those that are.

    budget_s: once it is spent, counting ends early, but not before MIN_RUNS (or `runs`, if fewer were asked).
    pause_s: before each run of two in turns, where threads of the one may go on spinning after its answer.

    Raises ValueError for fewer than one run.
    """

    warmup: int = 5
    runs: int = 100
    budget_s: float = 30.0
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if self.runs < 1 or self.warmup < 0 or not self.budget_s > 0:
            raise ValueError(f"runs must be at least 1, warmup at least 0, budget_s positive: {self}")


@dataclass(frozen=True)
class Latency:
    """Nearest-rank percentiles over `runs` inferences, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True)
class InTurns:
    """Two backends timed in turns.

    ratio: median of second over first, each pair being neighbours in time. low, high: its interval, from the
    order of the ratios alone (sign test), whatever their distribution.
    """

    first: Latency
    second: Latency
    ratio: float
    low: float
    high: float


_DEFAULTS = LatencyOptions()


def measure(
    backend: Backend, feeds: Mapping[str, NDArray[np.generic]], options: LatencyOptions = _DEFAULTS
) -> Latency:
    """Time `infer` on the same feeds again and again. Raises InferenceError as `infer` does."""
    for _ in range(options.warmup):
        backend.infer(feeds)
    times_ms: list[float] = []
    fewest = min(MIN_RUNS, options.runs)
    deadline = time.perf_counter() + options.budget_s
    while len(times_ms) < options.runs and (len(times_ms) < fewest or time.perf_counter() < deadline):
        started = time.perf_counter()
        backend.infer(feeds)
        times_ms.append((time.perf_counter() - started) * 1e3)
    return summarise(times_ms)


def measure_in_turns(
    first: Backend,
    second: Backend,
    feeds: Mapping[str, NDArray[np.generic]],
    options: LatencyOptions = _DEFAULTS,
) -> InTurns:
    """Time both on the same feeds, one after the other and the other after the one.

    What else the machine does falls on both alike. Raises InferenceError as `infer` does.
    """
    for _ in range(options.warmup):
        first.infer(feeds)
        second.infer(feeds)
    times_ms: tuple[list[float], list[float]] = ([], [])
    fewest = min(MIN_RUNS, options.runs)
    deadline = time.perf_counter() + options.budget_s
    while len(times_ms[0]) < options.runs and (len(times_ms[0]) < fewest or time.perf_counter() < deadline):
        turn = ((first, times_ms[0]), (second, times_ms[1]))
        for backend, times in turn if len(times_ms[0]) % 2 else reversed(turn):
            time.sleep(options.pause_s)
            started = time.perf_counter()
            backend.infer(feeds)
            times.append((time.perf_counter() - started) * 1e3)
    ratios = np.sort(np.divide(times_ms[1], times_ms[0]))
    low, high = median_ranks(len(ratios))
    middle = float(np.median(ratios))
    return InTurns(
        summarise(times_ms[0]), summarise(times_ms[1]), middle, float(ratios[low]), float(ratios[high])
    )


def median_ranks(count: int) -> tuple[int, int]:
    """Places in `count` sorted values between which their true median lies in 95% of the cases (both tails).

    The number of values below it is binomial with 1/2.
    """
    tail, below = 0.5**count, 0
    while tail + math.comb(count, below + 1) * 0.5**count <= (1 - CONFIDENCE) / 2:
        below += 1
        tail += math.comb(count, below) * 0.5**count
    return below, count - 1 - below


def summarise(times_ms: Sequence[float]) -> Latency:
    """Percentiles that are times really seen, never a value between two. Raises ValueError for none."""
    if not times_ms:
        raise ValueError("no times to summarise")
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99], method="inverted_cdf")
    return Latency(float(p50), float(p90), float(p99), len(times_ms))
