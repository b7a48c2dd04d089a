"""How long one inference takes, measured so that two engines can be compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import Backend

MIN_RUNS = 10


@dataclass(frozen=True)
class LatencyOptions:
    """warmup: runs that are not counted. runs: those that are.

    budget_s: once it is spent, counting ends early, but not before MIN_RUNS (or `runs`, if fewer were asked).

    Raises ValueError for fewer than one run.
    """

    warmup: int = 5
    runs: int = 100
    budget_s: float = 30.0

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


def summarise(times_ms: Sequence[float]) -> Latency:
    """Percentiles that are times really seen, never a value between two. Raises ValueError for none."""
    if not times_ms:
        raise ValueError("no times to summarise")
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99], method="inverted_cdf")
    return Latency(float(p50), float(p90), float(p99), len(times_ms))
