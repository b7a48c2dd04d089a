"""Is what was pruned faster on this target? Timed in turns with the same target's unpruned engine.

Fewer operations are not less time: an engine may pad odd channel counts, and small layers are bound by
memory. What is not shown to be faster has cost accuracy for nothing, and does not ship.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import Backend
from runtime.latency import InTurns, LatencyOptions, measure_in_turns

_TIMING = LatencyOptions(warmup=5, runs=200, budget_s=30.0)


@dataclass(frozen=True)
class Speed:
    """Medians in ms. ratio: pruned over whole, with its 95% interval. faster: the interval lies below 1."""

    whole_ms: float
    pruned_ms: float
    ratio: float
    low: float
    high: float
    faster: bool

    @property
    def sentence(self) -> str:
        """What a person reads."""
        interval = f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}] of the time"
        word = "faster" if self.faster else "not shown to be faster"
        return f"{self.pruned_ms:.2f} ms instead of {self.whole_ms:.2f} ms, {interval}: {word}"

    def to_json(self) -> dict[str, Any]:
        """For the record of a node."""
        return {**asdict(self), "sentence": self.sentence}


def compare_speed(
    whole: Backend,
    pruned: Backend,
    feeds: Mapping[str, NDArray[np.generic]],
    options: LatencyOptions = _TIMING,
) -> Speed:
    """Time both at batch 1. Raises InferenceError as `infer` does."""
    return judge_speed(measure_in_turns(whole, pruned, feeds, options))


def judge_speed(seen: InTurns) -> Speed:
    """first: the whole network's engine, second: the pruned one's."""
    return Speed(
        seen.first.p50_ms, seen.second.p50_ms, seen.ratio, seen.low, seen.high, faster=seen.high < 1.0
    )
