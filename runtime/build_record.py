"""What a built engine is known by, and what is written down of it: plain values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from runtime.trt_build.builder import BuildResult
from runtime.trt_build.place import BuildPlace
from runtime.trt_build.spec import BUILDER_REVISION, EngineSpec

ENGINE_KIND = "engine"
TIMING_KIND = "timing cache"
_KEPT_LOG_LINES = 20


@dataclass(frozen=True)
class EngineKey:
    """An engine answers to one key only; with any of it changed, another engine is built.

    model_sha256: of the bundle's ONNX. builder: revision of the code that builds.
    """

    place: BuildPlace
    model_sha256: str
    spec: EngineSpec
    builder: int = BUILDER_REVISION

    @property
    def digest(self) -> str:
        """64 hex digits: the name of the engine's folder."""
        return _digest(dataclasses.asdict(self))


@dataclass(frozen=True)
class BuildRecord:
    """What is signed beside an engine.

    sha256, size_bytes: of the engine. seconds: of its build. built_utc: ISO 8601. layers, dla_layers: of the
    network, and how many of them the accelerator takes. log: the last lines that the builder said.
    """

    key: EngineKey
    sha256: str
    size_bytes: int
    seconds: float
    built_utc: str
    layers: int = 0
    dla_layers: int = 0
    log: tuple[str, ...] = ()
    kind: str = ENGINE_KIND

    def __post_init__(self) -> None:
        _require(self.kind, ENGINE_KIND, self.size_bytes)


@dataclass(frozen=True)
class TimingRecord:
    """What is signed beside the timings of kernels on one place; they hold for every model there."""

    place: BuildPlace
    sha256: str
    size_bytes: int
    kind: str = TIMING_KIND

    def __post_init__(self) -> None:
        _require(self.kind, TIMING_KIND, self.size_bytes)


def timing_digest(place: BuildPlace) -> str:
    """64 hex digits: the name of the timings' folder."""
    return _digest(dataclasses.asdict(place))


def build_record(key: EngineKey, engine: bytes, result: BuildResult, built_utc: str) -> BuildRecord:
    """What is written down of a build that went well."""
    return BuildRecord(
        key,
        result.engine_sha256,
        len(engine),
        result.seconds,
        built_utc,
        sum(result.layers.values()),
        result.dla_layers,
        result.log[-_KEPT_LOG_LINES:],
    )


def _require(kind: str, wanted: str, size_bytes: int) -> None:
    """What is signed as one thing must not pass for another."""
    if kind != wanted:
        raise ValueError(f"kind must be {wanted!r}, got {kind!r}")
    if size_bytes < 0:
        raise ValueError(f"size_bytes must not be negative, got {size_bytes}")


def _digest(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
