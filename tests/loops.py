"""The body of a loop in ONNX that changes nothing, for graphs that shall hang or be slow."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def idle_body() -> onnx.GraphProto:
    """As long as it is told to go on, the value is turned twice."""
    info = helper.make_tensor_value_info
    return helper.make_graph(
        [
            helper.make_node("Identity", ["going_in"], ["going"]),
            helper.make_node("Neg", ["value_in"], ["turned"]),
            helper.make_node("Neg", ["turned"], ["value"]),
        ],
        "body",
        [
            info("trip", TensorProto.INT64, []),
            info("going_in", TensorProto.BOOL, []),
            info("value_in", TensorProto.FLOAT, None),
        ],
        [info("going", TensorProto.BOOL, []), info("value", TensorProto.FLOAT, None)],
    )
