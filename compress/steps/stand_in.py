"""Runs the very graph that TensorRT compiles on the CPU, where there is no GPU to run the engine.

ONNX Runtime computes each node as the ONNX standard defines it: no fusion, no change of the integer type.
With its optimisations on it would turn S8S8 into U8S8 kernels, which may saturate; the figures would then be
about those kernels. What remains different from a GPU: accumulation in float instead of int32 (exact up to
2^24) and the order of float sums in the layers that are not quantized.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from runtime.backends import feeds as feed_checks
from runtime.backends.base import TensorInfo
from runtime.errors import InferenceError, StepError
from runtime.machine import usable_cores

SOURCE_FILE = "source.onnx"
PLAN_FILE = "plan.json"


def numerics_from(quantized: bool) -> str:
    """What is run in the engine's place, for the record."""
    graph = "the same Q/DQ graph" if quantized else "the same float graph"
    return f"{graph}, node by node in ONNX Runtime on the CPU"


def numerics_stand_in(folder: Path) -> Path:
    """The graph that the step in `folder` compiled or left for the device.

    Raises StepError where it is missing or is not the one that the plan names.
    """
    path, plan = folder / SOURCE_FILE, folder / PLAN_FILE
    if not path.is_file() or not plan.is_file():
        raise StepError(
            f"{folder.name} holds no {SOURCE_FILE} with its {PLAN_FILE}", "run the compile step again"
        )
    wanted = json.loads(plan.read_text(encoding="utf-8"))["onnx_sha256"]
    if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
        raise StepError(f"{path.name} is not the graph that was compiled", "run the compile step again")
    return path


def open_stand_in(folder: Path) -> StandInBackend:
    """The graph of `numerics_stand_in`, loaded."""
    return StandInBackend(numerics_stand_in(folder).read_bytes())


class StandInBackend:
    """An ONNX graph, node by node; fulfils runtime.backends.base.Backend."""

    name = "onnxruntime"
    device = "cpu"

    def __init__(self, model: bytes) -> None:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = usable_cores()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises classes of its own, all straight from Exception
            raise feed_checks.cannot_load(self.name, error) from error
        self._session: onnxruntime.InferenceSession | None = session
        self.inputs = tuple(_info(node) for node in session.get_inputs())
        self.outputs = tuple(_info(node) for node in session.get_outputs())

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """See Backend.infer."""
        if self._session is None:
            raise InferenceError(f"{self.name}: the backend is closed")
        checked = feed_checks.check(self.name, self.inputs, feeds)
        try:
            values = self._session.run([info.name for info in self.outputs], checked)
        except Exception as error:  # as above
            raise InferenceError(f"{self.name} failed: {feed_checks.reason(error)}") from error
        return {info.name: np.array(value) for info, value in zip(self.outputs, values, strict=True)}

    def close(self) -> None:
        """See Backend.close."""
        self._session = None


def _info(node: onnxruntime.NodeArg) -> TensorInfo:
    return TensorInfo(node.name, tuple(n if isinstance(n, int) else None for n in node.shape), "float32")
