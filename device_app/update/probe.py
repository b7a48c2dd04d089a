"""The self-test of a bundle on this box, as a yes or no with its reason.

Each engine runs in a process of its own (runtime.selftest), so one that crashes or hangs fails its bundle and
leaves the installer alive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runtime.bundle import Bundle, open_bundle
from runtime.device_engine import deferred
from runtime.errors import BackendError, UlnaError
from runtime.golden import EngineResult, refused
from runtime.manifest import EngineEntry
from runtime.selftest import SelfTestPlan, pick, run
from runtime.trust import TrustStore

DEFAULT_TIMEOUT_S = 180.0

Examine = Callable[[Bundle, tuple[EngineEntry, ...], float], tuple[EngineResult, ...]]
"""(bundle, its entries that the box builds, timeout of each test in s) -> a result for each."""


@dataclass(frozen=True)
class ProbeResult:
    """passed: some engine gave every golden answer. engine: which was chosen. reason: why, in one line.

    failed: of the engines that a box must build for itself, those that cannot be used here, each with why.
    """

    passed: bool
    engine: str
    reason: str
    failed: dict[str, str] = field(default_factory=dict)


def not_tried(bundle: Bundle, entries: tuple[EngineEntry, ...], timeout_s: float) -> tuple[EngineResult, ...]:
    """For who may change nothing: whether the box can build them is left open."""
    return tuple(refused(bundle, entry, "not tried, because it would have to be built") for entry in entries)


def probe(
    bundle: Path, trust: Path, timeout_s: float = DEFAULT_TIMEOUT_S, own: Examine = not_tried
) -> ProbeResult:
    """Open the bundle with the keys in `trust` and run its golden cases; `timeout_s` is for each engine.

    own: tests the engines that the box must build. Every error that Ulna knows is a failed test; anything
    else passes on.
    """
    try:
        opened = open_bundle(bundle, TrustStore.from_paths(trust))
        left = deferred(opened)
        ready = tuple(entry.key for entry in opened.manifest.engines if entry not in left)
        results = run(opened, plan=SelfTestPlan(timeout_s=timeout_s), keys=ready)
        built = own(opened, left, timeout_s) if left else ()
    except UlnaError as error:
        return ProbeResult(False, "", str(error))
    failed = {result.key: result.reason for result in built if not result.passed}
    try:
        choice = pick((*results, *built))
    except BackendError as error:
        return ProbeResult(False, "", str(error), failed)
    return ProbeResult(True, choice.key, choice.reason, failed)
