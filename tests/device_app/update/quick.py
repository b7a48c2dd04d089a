"""The self-test without an interpreter's start, for tests that run it hundreds of times."""

from __future__ import annotations

from pathlib import Path

from device_app.update.probe import ProbeResult
from runtime.backends.base import BackendOptions
from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.golden import examine
from runtime.latency import LatencyOptions
from runtime.selftest import pick
from runtime.trust import TrustStore

_SHORT = LatencyOptions(warmup=0, runs=1)


def quick_probe(bundle: Path, trust: Path, timeout_s: float = 60) -> ProbeResult:
    """The real golden cases on the real engine, without a process of its own."""
    try:
        opened = open_bundle(bundle, TrustStore.from_paths(trust))
        entries = opened.manifest.engines
        choice = pick(tuple(examine(opened, entry, BackendOptions(), _SHORT) for entry in entries))
    except UlnaError as error:
        return ProbeResult(False, "", str(error))
    return ProbeResult(True, choice.key, choice.reason)
