"""What each compile target is to the pipeline: how to quantize for it, compile for it and run the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.artifact import STATUS_OK, Artifact, StepOutput
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.compile_openvino import compile_openvino
from compress.steps.compile_ort import compile_ort
from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.quantize import quantize
from compress.steps.stand_in import StandInBackend, numerics_from, open_stand_in
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.registry import open_backend
from runtime.errors import BackendMissingError, DeviceUnavailableError


@dataclass(frozen=True)
class Opener:
    """How an artifact is run here. numerics_from: what is run in its place, "" for the artifact itself."""

    open_backend: Callable[[], Backend]
    numerics_from: str = ""


@dataclass(frozen=True)
class Target:
    """title: for people. tools: distributions whose version changes the result.

    quantize: (exported ONNX, folder, images, options). compile: (ONNX or quantized model, folder,
    images for the proof). open: how a quantized or compiled artifact is run here.
    """

    title: str
    tools: tuple[str, ...]
    compile: Callable[[Path, Path, NDArray[np.float32]], StepOutput]
    open: Callable[[Artifact], Opener]

    def quantize(
        self, source: Path, folder: Path, images: CalibrationData, options: TargetOptions
    ) -> StepOutput:
        """By the target's own recipe."""
        return quantize(source, folder, images, options)


def _compile_tensorrt(source: Path, folder: Path, _: NDArray[np.float32]) -> StepOutput:
    """An engine compiled ahead of time cannot be run here: there is nothing to prove with images."""
    return compile_tensorrt(source, folder)


def _open_onnxruntime(artifact: Artifact) -> Opener:
    return Opener(lambda: open_backend("onnxruntime", ModelFiles(artifact.path.read_bytes())))


def _open_openvino(artifact: Artifact) -> Opener:
    def load() -> Backend:
        weights = next(path for path in artifact.files if path.suffix == ".bin")
        return open_backend("openvino", ModelFiles(artifact.path.read_bytes(), weights.read_bytes()))

    return Opener(load)


def _open_tensorrt(artifact: Artifact) -> Opener:
    """The engine itself where there is a GPU for it, else the very graph that it was compiled from."""
    stand_in = numerics_from(artifact.facts.get("nodes", {}).get("QuantizeLinear", 0) > 0)
    if artifact.format == "onnx":
        return Opener(lambda: StandInBackend(artifact.path.read_bytes()), stand_in)
    if artifact.status == STATUS_OK and _runs_here(artifact):
        return Opener(lambda: open_backend(artifact.format, ModelFiles(artifact.path.read_bytes())))
    return Opener(lambda: open_stand_in(artifact.folder), stand_in)


def _runs_here(artifact: Artifact) -> bool:
    try:
        open_backend(artifact.format, ModelFiles(artifact.path.read_bytes())).close()
    except (BackendMissingError, DeviceUnavailableError):
        return False
    return True


TARGETS = {
    "onnxruntime": Target("ONNX Runtime", ("onnx", "onnxruntime"), compile_ort, _open_onnxruntime),
    "openvino": Target("OpenVINO", ("openvino", "nncf"), compile_openvino, _open_openvino),
    "tensorrt": Target(
        "TensorRT",
        ("onnx", "onnxruntime", "tensorrt", "tensorrt-rtx"),
        _compile_tensorrt,
        _open_tensorrt,
    ),
}
