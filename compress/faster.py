"""Is what was made of an engine faster than that engine? Both timed in turns.

Fewer operations are not less time: an engine may pad odd channel counts, and small layers are bound by
memory. Nor are fewer bits: an engine converts between them and floats around every layer that it cannot
compute in eight. What is not shown to be faster has cost accuracy for nothing, and does not ship.
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
    """Medians in ms. ratio: after over before, with its 95% interval. faster: the interval lies below 1."""

    before_ms: float
    after_ms: float
    ratio: float
    low: float
    high: float
    faster: bool

    @property
    def sentence(self) -> str:
        """What a person reads."""
        interval = f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}] of the time"
        word = "faster" if self.faster else "not shown to be faster"
        return f"{self.after_ms:.2f} ms instead of {self.before_ms:.2f} ms, {interval}: {word}"

    def to_json(self, before: str, after: str) -> dict[str, Any]:
        """For the record of a node. before, after: what the two engines are called there."""
        table = asdict(self)
        times = {f"{before}_ms": table.pop("before_ms"), f"{after}_ms": table.pop("after_ms")}
        return {**times, **table, "sentence": self.sentence}


def compare_speed(
    before: Backend,
    after: Backend,
    feeds: Mapping[str, NDArray[np.generic]],
    options: LatencyOptions = _TIMING,
) -> Speed:
    """Time both at batch 1. Raises InferenceError as `infer` does."""
    return judge_speed(measure_in_turns(before, after, feeds, options))


def judge_speed(seen: InTurns) -> Speed:
    """first: the engine as it was, second: the pruned or converted one."""
    return Speed(
        seen.first.p50_ms, seen.second.p50_ms, seen.ratio, seen.low, seen.high, faster=seen.high < 1.0
    )
