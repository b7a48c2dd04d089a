"""Which nodes our recipes leave in float on purpose: no rule asks for pairs around these.

The recipes decide that on the float graph; so the pairs are taken out first, and the very same functions are
asked.
"""

from __future__ import annotations

import onnx

from compress.steps.graph import float_sums, head_nodes, metadata_nodes, name_nodes
from compress.steps.quantize_features import formula_nodes
from runtime.backends.base import LOGIT_NAME, MAP_NAME
from runtime.errors import StepError

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def kept_in_float(model: onnx.ModelProto) -> frozenset[str]:
    """First outputs of the nodes of head, facts of patients, float sums and formulas."""
    twin = without_pairs(model)
    name_nodes(twin)
    kept = {*metadata_nodes(twin), *float_sums(twin), *_head(twin), *_formulas(twin)}
    return frozenset(node.output[0] for node in twin.graph.node if node.name in kept)


def without_pairs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as it was before quantization, its weights by name only."""
    origin: dict[str, str] = {}
    graph = onnx.GraphProto(name=model.graph.name, input=model.graph.input, output=model.graph.output)
    for node in model.graph.node:
        if node.op_type in _PAIR:
            origin[node.output[0]] = origin.get(node.input[0], node.input[0])
            continue
        copy = graph.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [origin.get(name, name) for name in node.input]
    graph.initializer.extend(onnx.TensorProto(name=tensor.name) for tensor in model.graph.initializer)
    return onnx.ModelProto(graph=graph)


def _head(twin: onnx.ModelProto) -> tuple[str, ...]:
    """() for a graph that is no network of ours."""
    made = {name for node in twin.graph.node for name in node.output}
    try:
        return head_nodes(twin) if {MAP_NAME, LOGIT_NAME} <= made else ()
    except StepError:  # no convolution computes the map
        return ()


def _formulas(twin: onnx.ModelProto) -> tuple[str, ...]:
    """All nodes where nothing suits eight bits."""
    try:
        return formula_nodes(twin)
    except StepError:
        return tuple(node.name for node in twin.graph.node)
