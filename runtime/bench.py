"""Latency, memory and size of every engine of a bundle on this machine, with all that a figure depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from runtime import machine
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.latency import LatencyOptions
from runtime.selftest import EngineResult, SelfTestPlan, run

SCHEMA_VERSION = 1
_LIBRARIES = (
    "ulna",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
)


@dataclass(frozen=True)
class BenchOptions:
    """runs, warmup: inferences per engine at batch 1. threads: 0 for all that may be used."""

    runs: int = 200
    warmup: int = 20
    threads: int = 0
    timeout_s: float = 600.0


@dataclass(frozen=True)
class BenchReport:
    """The measured engines, and the machine, versions and digests that the figures belong to.

    model_sha256: digest of each engine's main file, by engine key. threads: those each engine was given.
    """

    bundle: dict[str, str]
    machine: machine.Machine
    versions: dict[str, str]
    threads: int
    measured_utc: str
    results: tuple[EngineResult, ...]
    model_sha256: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return {
            "schema": SCHEMA_VERSION,
            "bundle": self.bundle,
            "machine": self.machine.to_json(),
            "versions": self.versions,
            "threads": self.threads,
            "measured_utc": self.measured_utc,
            "batch_size": 1,
            "engines": [
                {**asdict(result), "key": result.key, "model_sha256": self.model_sha256[result.key]}
                for result in self.results
            ],
        }


_DEFAULTS = BenchOptions()


def bench(
    bundle: Bundle, options: BenchOptions = _DEFAULTS, progress: Callable[[str], None] | None = None
) -> BenchReport:
    """Measure every engine in a process of its own, one after the other.

    An engine is timed only once it has answered every golden case: a fast wrong answer is no result.
    """
    here = machine.describe()
    timing = LatencyOptions(options.warmup, options.runs, budget_s=options.timeout_s / 2)
    plan = SelfTestPlan(timing, options.timeout_s)
    results = run(bundle, BackendOptions(threads=options.threads), plan, progress)
    manifest = bundle.manifest
    return BenchReport(
        bundle={"name": manifest.name, "version": manifest.version, "sha256": bundle.digest},
        machine=here,
        versions=versions(),
        threads=options.threads or here.usable_cores,
        measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        results=results,
        model_sha256={entry.key: manifest.files[entry.main].sha256 for entry in manifest.engines},
    )


def versions() -> dict[str, str]:
    """Versions of the installed libraries on which a result depends."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
