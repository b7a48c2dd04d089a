"""Which engines of a bundle answer on this machine as they did when it was released, and which is fastest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.backends import registry
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.device_engine import DeviceOptions, device_engine
from runtime.engine_store import EngineStore
from runtime.errors import BackendError, BackendMissingError, UlnaError
from runtime.golden import EngineResult, refused
from runtime.isolated import Built, examine_isolated
from runtime.latency import Latency, LatencyOptions
from runtime.manifest import EngineEntry
from runtime.trt_build.progress import Listener

__all__ = ["Choice", "EngineResult", "SelfTestPlan", "choose", "pick", "ranked", "run"]


_DEVICE = DeviceOptions()
_TIMING = LatencyOptions(warmup=3, runs=30, budget_s=10.0)


@dataclass(frozen=True)
class SelfTestPlan:
    """How each engine is timed, and how long it may take from start to answer.

    engines: folder of the engines that this machine builds for itself (runtime.engine_store), None for a
    process that builds none: entries that are deferred to the device then fail. device, building: how they
    are built, and who is told how far that is.
    """

    timing: LatencyOptions = _TIMING
    timeout_s: float = 180.0
    engines: Path | None = None
    device: DeviceOptions = _DEVICE
    building: Listener | None = None


@dataclass(frozen=True)
class Choice:
    """The engine to use, why, and what was found out about all of them."""

    key: str
    reason: str
    results: tuple[EngineResult, ...]


_OPTIONS = BackendOptions()
_PLAN = SelfTestPlan()


def run(
    bundle: Bundle,
    options: BackendOptions = _OPTIONS,
    plan: SelfTestPlan = _PLAN,
    progress: Callable[[str], None] | None = None,
    keys: tuple[str, ...] | None = None,
) -> tuple[EngineResult, ...]:
    """Examine every entry, one after the other, each in a process of its own; every result has a reason.

    `progress` is told the key of each entry before it is run. keys: of the only ones to run, None for all.
    """
    results = []
    for entry in bundle.manifest.engines:
        if keys is not None and entry.key not in keys:
            continue
        if progress is not None:
            progress(entry.key)
        results.append(_result(bundle, entry, options, plan))
    return tuple(results)


def choose(bundle: Bundle, options: BackendOptions = _OPTIONS, plan: SelfTestPlan = _PLAN) -> Choice:
    """Run the self-test and pick. Raises BackendError when no engine passes."""
    return pick(run(bundle, options, plan))


def pick(results: tuple[EngineResult, ...]) -> Choice:
    """The fastest by median of those that passed. Raises BackendError when none did."""
    best = ranked(results)
    if not best:
        found = "; ".join(f"{result.key}: {result.reason}" for result in results) or "it holds no engine"
        raise BackendError(
            f"no engine of the bundle passes its golden cases, so this machine must not answer ({found})",
            "look at `ulna doctor --bundle BUNDLE`, install an engine it names, or use another bundle",
        )
    times = [f"{latency.p50_ms:.1f} ms" for _, latency in best]
    others = f"next {best[1][0].key} {times[1]}" if len(best) > 1 else "no other engine passed"
    key = best[0][0].key
    return Choice(key, f"{key}: p50 {times[0]}, {others}", results)


def ranked(results: tuple[EngineResult, ...]) -> tuple[tuple[EngineResult, Latency], ...]:
    """Those that passed, with their times, the fastest by median first."""
    passed = ((one, one.latency) for one in results if one.passed and one.latency)
    return tuple(sorted(passed, key=lambda pair: (pair[1].p50_ms, pair[0].key)))


def _result(bundle: Bundle, entry: EngineEntry, options: BackendOptions, plan: SelfTestPlan) -> EngineResult:
    if not entry.runs and plan.engines is not None:
        return _built_here(bundle, entry, options, plan)
    if not entry.runs:
        return refused(bundle, entry, f"{entry.status}: {entry.note}" if entry.note else entry.status)
    try:
        registry.require_present(entry.engine)
    except BackendMissingError as error:
        return refused(bundle, entry, f"{error}; {error.hint}")
    return examine_isolated(bundle, entry, options, plan.timing, plan.timeout_s)


def _built_here(
    bundle: Bundle, entry: EngineEntry, options: BackendOptions, plan: SelfTestPlan
) -> EngineResult:
    """Built or found, then examined like any engine."""
    assert plan.engines is not None
    try:
        engine = device_engine(bundle, entry, EngineStore(plan.engines), plan.device, plan.building)
    except UlnaError as error:
        return refused(bundle, entry, f"{entry.status}: {error}; {error.hint}" if error.hint else str(error))
    built = Built(str(plan.engines), engine.digest, plan.device.dla_core)
    return examine_isolated(bundle, entry, options, plan.timing, plan.timeout_s, built)
