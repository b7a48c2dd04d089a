"""ONNX Runtime: what numbers its kernels take, which of them fast, and which operator sets it loads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from compress.lint import inputs, scales
from compress.lint.context import LintContext
from compress.lint.finding import ERROR, WARNING, Finding, Kind
from compress.lint.graph import QUANTIZE, Graph, label
from compress.steps.quantize_ort import decide_range
from compress.steps.rounding import QMAX_REDUCED

ENGINE = "ONNX Runtime"
_LAYERS = ("Conv", "Gemm", "MatMul")
_SIGNED = Kind(
    "onnxruntime-signed-activations", WARNING, ENGINE, "quantize with activation_type=QuantType.QUInt8"
)
_PER_TENSOR = Kind("onnxruntime-weight-per-tensor", WARNING, ENGINE, "quantize with per_channel=True")
_ACTIVATION = Kind("onnxruntime-activation-per-channel", ERROR, ENGINE, "one scale for each activation")
_AXIS = Kind("onnxruntime-weight-axis", ERROR, ENGINE, "one scale for each output channel")
_SATURATION = Kind("onnxruntime-saturation", WARNING, ENGINE, "quantize with reduce_range=True")
_OPSET = Kind("onnxruntime-opset", ERROR, ENGINE, "export with the operator set of export_onnx.OPSET")
_EXTERNAL = Kind("onnxruntime-external-data", ERROR, ENGINE, "save the model with its weights inside")


def signed_activations(graph: Graph, context: LintContext) -> Iterator[Finding]:
    """S8S8 on x86, where kernels compute U8S8. Measured here: two to four times slower (docs/adr/0006)."""
    if not context.is_x86:
        return
    for node in graph.of_kind(QUANTIZE):
        zero = graph.tensor(node.input[2]) if len(node.input) > 2 else None
        signed = zero is not None and zero.data_type == onnx.TensorProto.INT8
        if signed and not graph.is_weight(node.input[0]):
            message = "signed activation: kernels for x86 take unsigned ones and convert every tensor first"
            yield _SIGNED.at(label(node), message)


def activations_per_channel(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """It fuses such a pair and then fails at the first image: its kernels have one zero point."""
    return scales.activations_per_channel(graph, _ACTIVATION)


def weights_per_tensor(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """A single scale costs precision and saves nothing."""
    return scales.weights_per_tensor(graph, _LAYERS, _PER_TENSOR)


def weights_of_wrong_axis(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Fused too, and failing at the first image."""
    return scales.weights_of_wrong_axis(graph, _LAYERS, _AXIS)


def saturating_weights(graph: Graph, context: LintContext) -> Iterator[Finding]:
    """Eight bits where this processor adds two products in sixteen: see quantize_ort.decide_range."""
    decision = decide_range(context.cpu_flags)
    if not decision.reduce_range:
        return
    for node, pair in scales.quantized_layers(graph, _LAYERS):
        weights = graph.value(pair.input[0])
        if weights is None or weights.dtype != np.int8:
            continue
        largest = int(np.abs(weights.astype(np.int16)).max(initial=0))
        if largest > QMAX_REDUCED:
            yield _SATURATION.at(label(node), f"weights up to {largest}: {decision.reason}")


def opset(graph: Graph, context: LintContext) -> Iterator[Finding]:
    """Newer ones than it knows are not loaded."""
    if context.opset_limit is not None and graph.opset > context.opset_limit:
        message = f"opset {graph.opset}, the installed version loads up to {context.opset_limit}"
        yield _OPSET.at("graph", message)


def external_data(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """It is given bytes."""
    return inputs.external_data(graph, _EXTERNAL)


RULES = (
    signed_activations,
    activations_per_channel,
    weights_per_tensor,
    weights_of_wrong_axis,
    saturating_weights,
    opset,
    external_data,
)
