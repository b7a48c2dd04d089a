"""TensorRT: signed eight bits with zero points of 0, constant positive scales, float operators between pairs.

Its parser imports UINT8 zero points as INT8 with only a warning, which shifts every activation by 128.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from compress.lint.context import LintContext
from compress.lint.finding import ERROR, Finding, Kind
from compress.lint.graph import DEQUANTIZE, QUANTIZE, STANDARD_DOMAINS, Graph, attribute, label
from runtime.errors import StepError

ENGINE = "TensorRT"
_REMEDY = "quantize it with the TensorRT recipe: signed INT8, zero points 0, per-channel weights"
_TYPE = Kind("tensorrt-type", ERROR, ENGINE, _REMEDY)
_ZERO_POINT = Kind("tensorrt-zero-point", ERROR, ENGINE, _REMEDY)
_SCALE = Kind("tensorrt-scale", ERROR, ENGINE, "calibrate again: scales are positive constants")
_INTEGER = Kind("tensorrt-integer-operator", ERROR, ENGINE, "write Q/DQ pairs (QuantFormat.QDQ)")
_DOMAIN = Kind("tensorrt-domain", ERROR, ENGINE, "take the graph as it was before ONNX Runtime optimised it")
_OLD = Kind("tensorrt-old-opset", ERROR, ENGINE, "export with the operator set of export_onnx.OPSET")
_INTEGER_OPERATORS = (
    "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul",
)  # fmt: skip


def old_opset(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Per-channel Q/DQ came with opset 13; TensorRT parses from 9 on."""
    least = 13 if any(True for _ in graph.of_kind(QUANTIZE)) else 9
    if graph.opset < least:
        yield _OLD.at("graph", f"opset {graph.opset}, needs at least {least}")


def foreign_operators(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Those of other libraries, and those that compute in integers themselves."""
    for node in graph.nodes:
        if node.domain not in STANDARD_DOMAINS:
            yield _DOMAIN.at(label(node), f"operator of {node.domain}, which TensorRT does not know")
        elif node.op_type in _INTEGER_OPERATORS:
            message = "integer operator, TensorRT takes Q/DQ around float ones only"
            yield _INTEGER.at(label(node), message)


def scales(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Constant and positive."""
    for node in graph.of_kind(QUANTIZE, DEQUANTIZE):
        scale = graph.value(node.input[1])
        if scale is None:
            yield _SCALE.at(label(node), "the scale is not a constant")
        elif not (np.isfinite(scale) & (scale > 0)).all():
            yield _SCALE.at(label(node), "a scale is not positive")


def dequantized_constants(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """INT8 weights are fine, INT32 biases are not: the parser refuses them."""
    for node in graph.of_kind(DEQUANTIZE):
        tensor = graph.tensor(node.input[0])
        if tensor is not None:
            yield from _require_int8(node, tensor.data_type, "values", _TYPE)


def zero_points(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """INT8 and 0. Without one QuantizeLinear gives UINT8 unless told otherwise; DequantizeLinear takes what
    comes.
    """
    for node in graph.of_kind(QUANTIZE, DEQUANTIZE):
        given = len(node.input) > 2 and bool(node.input[2])
        if given:
            yield from _zero_point(graph, node)
        elif node.op_type == QUANTIZE:
            gives = attribute(node, "output_dtype", 0) or onnx.TensorProto.UINT8
            yield from _require_int8(node, gives, "output", _ZERO_POINT)


def require_tensorrt_graph(model: onnx.ModelProto) -> None:
    """Raises StepError with the first of what TensorRT would misread, and the number of the others."""
    graph, context = Graph(model), LintContext()
    problems = [finding.line for rule in RULES for finding in rule(graph, context)]
    # What would be misread silently comes before what the parser itself would refuse.
    problems.sort(key=lambda line: "UINT8" not in line)
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise StepError(f"TensorRT would misread this graph: {'; '.join(problems[:3])}{more}", _REMEDY)


def _zero_point(graph: Graph, node: onnx.NodeProto) -> Iterator[Finding]:
    tensor = graph.tensor(node.input[2])
    if tensor is None:
        yield _ZERO_POINT.at(label(node), "the zero point is not a constant")
    elif tensor.data_type != onnx.TensorProto.INT8:
        yield from _require_int8(node, tensor.data_type, "zero point", _ZERO_POINT)
    elif (value := graph.value(node.input[2])) is not None and value.any():
        yield _ZERO_POINT.at(label(node), "the zero point is not 0")


def _require_int8(node: onnx.NodeProto, data_type: int, what: str, kind: Kind) -> Iterator[Finding]:
    if data_type != onnx.TensorProto.INT8:
        name = onnx.TensorProto.DataType.Name(data_type)
        yield kind.at(label(node), f"{what} of type {name}, must be INT8")


RULES = (old_opset, foreign_operators, scales, dequantized_constants, zero_points)
