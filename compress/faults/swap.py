"""Swaps code of a run for code that makes a mistake, for as long as it is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.quantize import QUANTIZERS
from compress.targets import TARGETS
from runtime import golden
from runtime.golden import EngineResult

Edit = Callable[[onnx.ModelProto], None]
Quantize = Callable[[Path, Path, CalibrationData, TargetOptions], StepOutput]


@contextmanager
def swapped(place: str, mistake: Any) -> Iterator[None]:
    """place: dotted name, as `compress.branches.calibration_of`. Restored whatever happens."""
    with mock.patch(place, mistake):
        yield


def on_the_box(place: str, mistake: Any) -> AbstractContextManager[None]:
    """A mistake that the self-test alone can meet: it runs here, in this process, with `place` swapped."""

    def examine(bundle, entry, options, timing, timeout_s) -> EngineResult:  # type: ignore[no-untyped-def]
        with swapped(place, mistake):
            return golden.examine(bundle, entry, options, timing)

    return swapped("runtime.selftest.examine_isolated", examine)


@contextmanager
def swapped_target(engine: str, **changes: Any) -> Iterator[None]:
    """Another way to compile for an engine or to open it."""
    with mock.patch.dict(TARGETS, {engine: replace(TARGETS[engine], **changes)}):
        yield


@contextmanager
def swapped_quantizer(engine: str, mistake: Quantize) -> Iterator[None]:
    """Another way to quantize for an engine."""
    with mock.patch.dict(QUANTIZERS, {engine: mistake}):
        yield


@contextmanager
def edited_graph(engine: str, edit: Edit) -> Iterator[None]:
    """What is compiled for the engine is the graph after `edit`, which changes it in place."""
    sound = TARGETS[engine].compile

    def compile_edited(source: Path, folder: Path, samples: NDArray[np.float32]) -> StepOutput:
        graph = onnx.load(str(source))
        edit(graph)
        onnx.checker.check_model(graph)
        altered = folder.parent / f"{folder.name}.{source.name}"
        altered.write_bytes(graph.SerializeToString())
        try:
            return sound(altered, folder, samples)
        finally:
            altered.unlink()

    with swapped_target(engine, compile=compile_edited):
        yield
