"""A second input for the small models of the tests: every fact that is told moves the whole map by a step."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.backends.base import MAP_NAME, METADATA_NAME
from runtime.metadata import FIELDS, MetadataSpec

SPEC = MetadataSpec(FIELDS, ("hand", "leg"), ("frontal", "lateral"))
STEP = 0.25
_ALONE = "map_of_the_picture_alone"


def told(model: bytes, step: float = STEP, spec: MetadataSpec = SPEC) -> bytes:
    """The model with `metadata` (N, D) as another input: map + step * sum of the facts."""
    proto = onnx.load_from_string(model)
    graph = proto.graph
    at = next(number for number, node in enumerate(graph.node) if MAP_NAME in node.output)
    graph.node[at].output[list(graph.node[at].output).index(MAP_NAME)] = _ALONE
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "n"
    graph.input.append(helper.make_tensor_value_info(METADATA_NAME, TensorProto.FLOAT, [batch, spec.width]))
    graph.initializer.append(
        numpy_helper.from_array(np.full((spec.width, 1), step, np.float32), "facts_weights")
    )
    graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "facts_shape"))
    nodes = [
        helper.make_node("MatMul", [METADATA_NAME, "facts_weights"], ["facts_sum"]),
        helper.make_node("Reshape", ["facts_sum", "facts_shape"], ["facts_shift"]),
        helper.make_node("Add", [_ALONE, "facts_shift"], [MAP_NAME]),
    ]
    for offset, node in enumerate(nodes, start=1):
        graph.node.insert(at + offset, node)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()
