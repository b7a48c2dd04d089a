"""Real graphs that answer golden cases as they should, and fail on one kind of picture."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from runtime.backends.base import LOGIT_NAME
from runtime.preprocess import preprocess
from runtime.radiograph import Radiograph
from tests.bundles import radiograph_pixels
from tests.loops import idle_body
from tests.runtime.kit import SPEC
from tests.runtime.models import expected_logit, onnx_bytes

PICTURE = Radiograph(radiograph_pixels(True), 12, "f" * 64)
"""On which they fail."""
OTHER = Radiograph(radiograph_pixels(False, seed=3), 12, "0" * 64)
_LOGIT = float(expected_logit(preprocess(PICTURE, SPEC)[0])[0, 0])
_NEAR = 1e-4
_ENDLESS = 1 << 62


def nan_model() -> bytes:
    """The runtime's test model, with NaN for PICTURE."""
    return without_a_number(onnx_bytes(batch=1), _LOGIT)


def hanging_model() -> bytes:
    """The runtime's test model, with no answer for PICTURE."""
    loop = helper.make_node("Loop", ["trips", "bad_alone", "plain"], [LOGIT_NAME], body=idle_body())
    nodes = [helper.make_node("Squeeze", ["bad"], ["bad_alone"]), loop]
    return _with_trigger(onnx_bytes(batch=1), _LOGIT, nodes, {"trips": np.array(_ENDLESS, np.int64)})


def slow_model(trips: int) -> bytes:
    """The runtime's test model, slowed down."""
    return slowed_down(onnx_bytes(batch=1), trips)


def without_a_number(model: bytes, logit: float) -> bytes:
    """Any model, with NaN in place of that logit."""
    where = helper.make_node("Where", ["bad", "nan", "plain"], [LOGIT_NAME])
    return _with_trigger(model, logit, [where], {"nan": np.array(np.nan, np.float32)})


def slowed_down(model: bytes, trips: int) -> bytes:
    """Any model, with its own answers after many steps that change nothing."""
    loop = helper.make_node("Loop", ["trips", "always", "plain"], [LOGIT_NAME], body=idle_body())
    constants = {"trips": np.array(trips, np.int64), "always": np.array(True)}
    return _with_trigger(model, 0.0, [loop], constants)


def _with_trigger(
    data: bytes, logit: float, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> bytes:
    """The model whose own logit is `plain`; `bad` (N, 1) says that it is the given one."""
    model = onnx.load_from_string(data)
    graph = model.graph
    graph.node[-1].output[0] = "plain"
    graph.node.extend(
        [
            helper.make_node("Sub", ["plain", "there"], ["apart"]),
            helper.make_node("Abs", ["apart"], ["distance"]),
            helper.make_node("Less", ["distance", "near"], ["bad"]),
            *nodes,
        ]
    )
    values = {"there": np.array(logit, np.float32), "near": np.array(_NEAR, np.float32), **constants}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
