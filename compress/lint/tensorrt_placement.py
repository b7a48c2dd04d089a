"""TensorRT: where pairs stand, so that it fuses them ("Working with Quantized Types" in its developer guide).

Activations have one scale, weights one for each output channel; a residual sum reads one convolution directly
and one dequantized identity; outputs and biases stay float.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from compress.lint import scales
from compress.lint.context import LintContext
from compress.lint.finding import ERROR, WARNING, Finding, Kind
from compress.lint.graph import DEQUANTIZE, MOVES, QUANTIZE, Graph, label
from compress.lint.tensorrt_types import ENGINE

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_LAYERS = (*_CONVOLUTIONS, "Gemm", "MatMul")
_INT32 = onnx.TensorProto.INT32
_ACTIVATION = Kind(
    "tensorrt-activation-per-channel",
    ERROR,
    ENGINE,
    "one scale for each activation (per_channel of ONNX Runtime's quantizer is for weights)",
)
_AXIS = Kind("tensorrt-weight-axis", ERROR, ENGINE, "one scale for each output channel")
_PER_TENSOR = Kind("tensorrt-weight-per-tensor", WARNING, ENGINE, "quantize with per_channel=True")
_UNPAIRED = Kind("tensorrt-unpaired", ERROR, ENGINE, "let a DequantizeLinear follow every QuantizeLinear")
_RESIDUAL = Kind(
    "tensorrt-residual",
    WARNING,
    ENGINE,
    "a pair on the identity alone; the convolution's output goes into the sum as it is",
)
_OUTPUT = Kind("tensorrt-output-pair", WARNING, ENGINE, "leave the head out of the quantization")
_BIAS = Kind("tensorrt-bias-pair", WARNING, ENGINE, 'quantize with "QuantizeBias": False')


def activations_per_channel(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """The guide knows per-tensor scales for activations alone."""
    return scales.activations_per_channel(graph, _ACTIVATION)


def weights_per_tensor(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """A single scale costs precision and makes nothing faster."""
    return scales.weights_per_tensor(graph, _LAYERS, _PER_TENSOR)


def weights_of_wrong_axis(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Kernels take the scales of output channels."""
    return scales.weights_of_wrong_axis(graph, _LAYERS, _AXIS)


def unpaired(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """What reads whole numbers without a DequantizeLinear, or dequantizes what nobody quantized."""
    for node in graph.of_kind(QUANTIZE):
        yield from _open_ends(graph, node)
    for node in graph.of_kind(DEQUANTIZE):
        start = node.input[0]
        while (maker := graph.makers.get(start)) is not None and maker.op_type in MOVES:
            start = maker.input[0]
        if graph.tensor(start) is None and (maker is None or maker.op_type != QUANTIZE):
            yield _UNPAIRED.at(label(node), f"dequantizes {start}, which no QuantizeLinear made")


def residual_sums(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Sums that cannot become one kernel with the convolution before them."""
    for node in graph.of_kind("Add"):
        summands = graph.activations(node)
        if graph.is_kept(node) or len(summands) != 2:
            continue
        direct = [name for name in summands if _is_layer(graph, name)]
        behind = [name for name in summands if graph.is_dequantized(name) and _is_paired_layer(graph, name)]
        if behind and not direct:
            message = "a pair between convolution and sum: the sum becomes a pass of its own"
            yield _RESIDUAL.at(label(node), message)
        elif len(direct) == 1 and not any(graph.is_dequantized(name) for name in summands):
            message = "the identity is not quantized: convolution and sum are not fused in INT8"
            yield _RESIDUAL.at(label(node), message)


def output_pairs(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """A pair before an output rounds the answer and makes nothing faster."""
    for name in sorted(graph.outputs):
        node = graph.makers.get(name)
        if node is not None and graph.is_dequantized(name):
            yield _OUTPUT.at(name, "the network's output is rounded to eight bits")


def bias_pairs(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """INT32 ones are refused (dequantized_constants); eight bits lose what accumulators would keep."""
    for node in graph.of_kind("Conv", "ConvTranspose", "Gemm"):
        pair = graph.makers.get(node.input[2]) if len(node.input) > 2 else None
        if pair is not None and pair.op_type == DEQUANTIZE:
            tensor = graph.tensor(pair.input[0])
            if tensor is None or tensor.data_type != _INT32:
                yield _BIAS.at(label(node), "the bias is quantized")


def _open_ends(graph: Graph, node: onnx.NodeProto) -> Iterator[Finding]:
    waiting = [node]
    while waiting:
        maker = waiting.pop()
        if graph.outputs.intersection(maker.output):
            yield _UNPAIRED.at(label(node), f"the output {maker.output[0]} is whole numbers, not float")
        for reader in graph.readers_of(maker):
            if reader.op_type in MOVES:
                waiting.append(reader)
            elif reader.op_type != DEQUANTIZE:
                yield _UNPAIRED.at(label(node), f"{label(reader)} reads it without a DequantizeLinear")


def _is_layer(graph: Graph, name: str) -> bool:
    """Whether a convolution in eight bits made it, and nobody else reads it."""
    node = graph.makers.get(name)
    quantized = node is not None and node.op_type in _CONVOLUTIONS and graph.is_dequantized(node.input[0])
    return quantized and len(graph.readers.get(name, ())) == 1


def _is_paired_layer(graph: Graph, name: str) -> bool:
    """Whether a pair that this sum alone reads stands behind such a convolution."""
    alone = len(graph.readers.get(name, ())) == 1
    return alone and _is_layer(graph, graph.source(name))


RULES = (
    activations_per_channel,
    weights_per_tensor,
    weights_of_wrong_axis,
    unpaired,
    residual_sums,
    output_pairs,
    bias_pairs,
)
