"""Scales as integer kernels take them: one for an activation, one for each output channel of weights."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from compress.lint.finding import Finding, Kind
from compress.lint.graph import DEQUANTIZE, QUANTIZE, Graph, attribute, label


def activations_per_channel(graph: Graph, kind: Kind) -> Iterator[Finding]:
    """Activations with more scales than one."""
    for node in graph.of_kind(QUANTIZE):
        count = graph.scale_count(node)
        if count > 1 and not graph.is_weight(node.input[0]):
            yield kind.at(label(node), f"{count} scales for an activation, kernels take one")


def weights_per_tensor(graph: Graph, layers: tuple[str, ...], kind: Kind) -> Iterator[Finding]:
    """Weights of several channels with a single scale."""
    for node, pair in quantized_layers(graph, layers):
        shape = graph.shape(graph.source(node.input[1])) or ()
        channels = shape[axis] if (axis := output_axis(node, len(shape))) < len(shape) else 1
        if graph.scale_count(pair) == 1 < channels:
            yield kind.at(label(node), f"one scale for the weights of {channels} channels")


def weights_of_wrong_axis(graph: Graph, layers: tuple[str, ...], kind: Kind) -> Iterator[Finding]:
    """Weights whose scales are not those of output channels."""
    for node, pair in quantized_layers(graph, layers):
        dimensions = len(graph.shape(graph.source(node.input[1])) or ())
        if graph.scale_count(pair) == 1 or dimensions == 0:
            continue
        axis, wanted = attribute(pair, "axis", 1) % dimensions, output_axis(node, dimensions)
        if axis != wanted:
            message = f"scales of the weights along axis {axis}, the output channels are axis {wanted}"
            yield kind.at(label(node), message)


def quantized_layers(
    graph: Graph, layers: tuple[str, ...]
) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Layers of these operators with the DequantizeLinear of their constant weights."""
    for node in graph.of_kind(*layers):
        pair = graph.makers.get(node.input[1])
        if pair is not None and pair.op_type == DEQUANTIZE and graph.is_weight(pair.input[0]):
            yield node, pair


def output_axis(node: onnx.NodeProto, dimensions: int) -> int:
    """Of a layer's weights, the axis that counts output channels."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = node.op_type == "Gemm" and attribute(node, "transB", 0) == 1
    return 0 if transposed else max(dimensions - 1, 0)
