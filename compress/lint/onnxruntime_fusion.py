"""ONNX Runtime: which pairs it fuses with the operator between them into one integer kernel.

What it does was seen on the graphs that it writes after its own optimisation (1.32). An operator is fused
when all that it reads is dequantized and all that reads it quantizes; matrix products need no pair behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx

from compress.lint.context import LintContext
from compress.lint.finding import ERROR, WARNING, Finding, Kind
from compress.lint.graph import DEQUANTIZE, MOVES, QUANTIZE, Graph, label
from compress.lint.onnxruntime_numbers import ENGINE
from compress.steps.quantize_ort import OPERATORS

KERNELS = (
    "Add", "AveragePool", "Concat", "Conv", "Gemm", "GlobalAveragePool", "LeakyRelu", "MatMul", "Mul",
    "Sigmoid", "Softmax",
)  # fmt: skip
"""Operators that it has in integers."""
_PRODUCTS = ("Gemm", "MatMul")
_JOINS = ("Add", "Concat", "Mul")
_WANTED = tuple(kind for kind in KERNELS if kind in OPERATORS)
"""Of these those that our recipe quantizes: around gates and scales it puts no pairs."""
_CUTS = ("Clip", "Relu")
"""Gone where the range of the pair behind them does the same."""
_TOLERANCE = 1.0 + 1e-6
_SEEN_THROUGH = (*MOVES, *_CUTS, QUANTIZE, DEQUANTIZE)
_BIAS = Kind("onnxruntime-float-bias", WARNING, ENGINE, "an INT32 or constant bias: fold the bias before")
_WEIGHTS = Kind(
    "onnxruntime-weights-quantized-by-itself",
    ERROR,
    ENGINE,
    "quantize this node's weights too, or take the pairs around it out",
)
_ISLAND = Kind("onnxruntime-island", WARNING, ENGINE, "quantize this node's output too")
_JOIN = Kind("onnxruntime-residual", WARNING, ENGINE, "quantize all inputs of this node")
_IDLE = Kind("onnxruntime-idle-pair", WARNING, ENGINE, "leave this operator out of op_types_to_quantize")


def biases(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """A convolution is fused with a bias of INT32, or a constant one, which it quantizes to INT32 itself."""
    for node in graph.of_kind("Conv"):
        if len(node.input) < 3 or not node.input[2] or not _is_fed(graph, node):
            continue
        pair = graph.makers.get(node.input[2])
        if pair is None:
            continue
        tensor = graph.tensor(pair.input[0]) if pair.op_type == DEQUANTIZE else graph.tensor(node.input[2])
        if tensor is None or (pair.op_type == DEQUANTIZE and tensor.data_type != onnx.TensorProto.INT32):
            yield _BIAS.at(
                label(node), "computes in float: its bias is neither INT32 nor a constant in float"
            )


def float_weights(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Left in float between pairs, weights of Conv and Gemm are rounded by ONNX Runtime itself: a node
    left out is not left out. Those of MatMul keep it in float.
    """
    for node in graph.of_kind("Conv", *_PRODUCTS):
        between = _is_fed(graph, node) and _is_read_quantized(graph, node)
        if not between or graph.tensor(node.input[1]) is None:
            continue
        if node.op_type == "MatMul":
            yield _ISLAND.at(label(node), "computes in float: its weights are not quantized")
        else:
            yield _WEIGHTS.at(label(node), "its float weights get eight bits that no calibration chose")


def islands(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Operators in float whose output is quantized later on: two conversions and a slow kernel."""
    for node in graph.of_kind(*_WANTED):
        if node.op_type in _PRODUCTS or graph.is_kept(node) or not _is_fed(graph, node):
            continue
        if not _is_read_quantized(graph, node) and _leads_to_pair(graph, node):
            yield _ISLAND.at(label(node), "computes in float: no pair stands right behind it")


def half_quantized_joins(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Sums and joins of which only some inputs are in eight bits."""
    for node in graph.of_kind(*_JOINS):
        if node.op_type not in OPERATORS or graph.is_kept(node):
            continue
        names = graph.activations(node)
        whole = [name for name in names if graph.is_dequantized(name)]
        if 0 < len(whole) < len(names):
            lacking = next(name for name in names if name not in whole)
            yield _JOIN.at(label(node), f"computes in float: {lacking} is not quantized")


def idle_pairs(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Pairs with an integer kernel neither before nor behind them: they round, and nothing gets faster."""
    for node in graph.of_kind(QUANTIZE):
        if graph.is_weight(node.input[0]):
            continue
        before = _reaches_kernel([node], lambda item: _makers(graph, item))
        if not before and not _reaches_kernel([node], graph.readers_of):
            source = graph.makers.get(node.input[0])
            what = "the input" if source is None else label(source)
            yield _IDLE.at(label(node), f"rounds {what}, for which and behind which no integer kernel is")


def _is_fed(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether all that it reads of the image is dequantized."""
    names = graph.activations(node)[: None if node.op_type in _JOINS else 1]
    return bool(names) and all(graph.is_dequantized(name) for name in names)


def _is_read_quantized(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether all that reads it quantizes, at once or behind a cut that the pair's range makes as well."""
    readers = graph.readers_of(node)
    if graph.outputs.intersection(node.output) or not readers:
        return False
    return all(reader.op_type == QUANTIZE or _is_absorbed(graph, reader) for reader in readers)


def _is_absorbed(graph: Graph, cut: onnx.NodeProto) -> bool:
    """Whether a Relu or Clip is gone once its output is quantized: the range begins at 0 and ends in time."""
    behind = graph.readers_of(cut)
    if cut.op_type not in _CUTS or not behind or any(item.op_type != QUANTIZE for item in behind):
        return False
    limit = graph.value(cut.input[2]) if len(cut.input) > 2 and cut.input[2] else None
    most = np.inf if limit is None else float(limit)
    return all(begin == 0 and end <= most * _TOLERANCE for begin, end in (_range(graph, q) for q in behind))


def _range(graph: Graph, node: onnx.NodeProto) -> tuple[float, float]:
    """Of a QuantizeLinear with one scale; nothing known is everything."""
    scale, zero = (graph.value(name) for name in (*node.input[1:3], "")[:2])
    if scale is None or scale.size != 1:
        return -np.inf, np.inf
    kind = np.iinfo(np.uint8 if zero is None else zero.dtype)
    point = 0 if zero is None else int(zero.flat[0])
    step = float(scale.flat[0])
    return (kind.min - point) * step, (kind.max - point) * step


def _leads_to_pair(graph: Graph, node: onnx.NodeProto) -> bool:
    waiting, seen = [node], set()
    while waiting:
        for reader in graph.readers_of(waiting.pop()):
            if reader.op_type == QUANTIZE:
                return True
            if reader.output[0] not in seen:
                seen.add(reader.output[0])
                waiting.append(reader)
    return False


def _makers(graph: Graph, node: onnx.NodeProto) -> tuple[onnx.NodeProto, ...]:
    return tuple(graph.makers[name] for name in node.input if name in graph.makers)


def _reaches_kernel(
    start: list[onnx.NodeProto], step: Callable[[onnx.NodeProto], Iterable[onnx.NodeProto]]
) -> bool:
    """Whether a kernel is met in that direction, seen through what only moves or cuts values."""
    waiting, seen = list(start), set()
    while waiting:
        for node in step(waiting.pop()):
            if node.op_type in KERNELS:
                return True
            if node.op_type in _SEEN_THROUGH and node.output[0] not in seen:
                seen.add(node.output[0])
                waiting.append(node)
    return False


RULES = (biases, float_weights, islands, half_quantized_joins, idle_pairs)
