"""The self-test of a bundle on this box, as a yes or no with its reason.

Each engine runs in a process of its own (runtime.selftest), so one that crashes or hangs fails its bundle and
leaves the installer alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.selftest import SelfTestPlan, choose
from runtime.trust import TrustStore

DEFAULT_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class ProbeResult:
    """passed: some engine gave every golden answer. engine: which was chosen. reason: why, in one line."""

    passed: bool
    engine: str
    reason: str


def probe(bundle: Path, trust: Path, timeout_s: float = DEFAULT_TIMEOUT_S) -> ProbeResult:
    """Open the bundle with the keys in `trust` and run its golden cases; `timeout_s` is for each engine.

    Every error that Ulna knows is a failed test; anything else passes on.
    """
    try:
        opened = open_bundle(bundle, TrustStore.from_paths(trust))
        choice = choose(opened, plan=SelfTestPlan(timeout_s=timeout_s))
    except UlnaError as error:
        return ProbeResult(False, "", str(error))
    return ProbeResult(True, choice.key, choice.reason)
