"""OpenVINO: which FakeQuantize its CPU plugin turns into INT8 kernels, read on its own form of the graph.

What it does was seen in the graphs that it runs (2026.4): ranges of single channels are folded for depthwise
convolutions only, more than 256 levels never, weights with 255 or 256 levels alone; a sum is in INT8 when its
identity is quantized, a join when all its parts are or a FakeQuantize follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from compress.lint.context import LintContext
from compress.lint.finding import WARNING, Finding, Kind

ENGINE = "OpenVINO"
_FAKE = "FakeQuantize"
_MOST_LEVELS = 256
_WEIGHT_LEVELS = (255, 256)
_CONVOLUTION = "Convolution"
_PER_TENSOR_ONLY = (_CONVOLUTION, "MatMul")
_MOVES = ("Convert", "Interpolate", "MaxPool", "Pad", "Reshape", "Split", "Squeeze", "StridedSlice",
          "Transpose", "Unsqueeze", "VariadicSplit")  # fmt: skip
_FUSED_BEHIND = ("Add", "Clamp", "Multiply", "Relu")
_LEVELS = Kind("openvino-levels", WARNING, ENGINE, "quantize with NNCF's 8-bit presets")
_ACTIVATION = Kind(
    "openvino-activation-per-channel", WARNING, ENGINE, "one range for all channels that a convolution reads"
)
_BRANCH = Kind("openvino-half-quantized", WARNING, ENGINE, "quantize all branches of this node")
_DYNAMIC = Kind("openvino-dynamic-shape", WARNING, ENGINE, "export with a fixed image size")


def levels(model: Any, _: LintContext) -> Iterator[Finding]:
    """Of FakeQuantize: what is no INT8 stays in float."""
    for operation in _of_kind(model, _FAKE):
        count = int(operation.get_attributes()["levels"])
        weights = _is_constant(operation.input_value(0))
        if count not in _WEIGHT_LEVELS if weights else count > _MOST_LEVELS:
            what = "weights" if weights else "an activation"
            yield _LEVELS.at(_label(operation), f"{count} levels for {what}: what reads it computes in float")


def activations_per_channel(model: Any, _: LintContext) -> Iterator[Finding]:
    """Different ranges of channels in front of a layer that sums over them."""
    for operation in _of_kind(model, _FAKE):
        if _is_constant(operation.input_value(0)) or not _differs_by_channel(operation):
            continue
        for reader in _readers(operation):
            if reader.get_type_name() in _PER_TENSOR_ONLY:
                yield _ACTIVATION.at(_label(operation), f"a range for each channel before {_label(reader)}")


def half_quantized(model: Any, _: LintContext) -> Iterator[Finding]:
    """Sums whose identity, and joins of which a part, is in float while the rest is in eight bits."""
    for operation in _of_kind(model, "Add", "Concat"):
        parts = [value for value in operation.input_values() if not _is_constant(value)]
        quantized = [_is_quantized(value) for value in parts]
        if not any(quantized) or all(quantized) or _is_fake_behind(operation, parts, quantized):
            continue
        lacking = parts[quantized.index(False)].get_node()
        yield _BRANCH.at(_label(operation), f"computes in float: {_label(lacking)} is not quantized")


def dynamic_shapes(model: Any, _: LintContext) -> Iterator[Finding]:
    """Inputs of which more than the batch is left open: kernels are chosen anew for every size."""
    for port in model.inputs:
        shape = port.get_partial_shape()
        if shape.rank.is_dynamic:
            yield _DYNAMIC.at(port.get_any_name(), "the number of axes is not fixed")
            continue
        free = [axis for axis, size in enumerate(shape) if axis > 0 and size.is_dynamic]
        if free:
            yield _DYNAMIC.at(
                port.get_any_name(), f"axes {free} have no fixed size, only the batch may be free"
            )


def _of_kind(model: Any, *kinds: str) -> Iterator[Any]:
    return (item for item in model.get_ordered_ops() if item.get_type_name() in kinds)


def _label(operation: Any) -> str:
    return f"{operation.get_type_name()} {operation.get_friendly_name()}"


def _readers(operation: Any) -> list[Any]:
    return [place.get_node() for value in operation.outputs() for place in value.get_target_inputs()]


def _is_constant(value: Any) -> bool:
    """Whether nothing of the image is in it."""
    waiting, seen = [value.get_node()], set()
    while waiting:
        node = waiting.pop()
        if node.get_type_name() == "Parameter":
            return False
        if node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            waiting += [item.get_node() for item in node.input_values()]
    return True


def _differs_by_channel(operation: Any) -> bool:
    ends = [value.get_node() for value in operation.input_values()[1:3]]
    sizes = [int(prod(end.get_output_shape(0))) for end in ends]
    if max(sizes) == 1 or any(end.get_type_name() != "Constant" for end in ends):
        return max(sizes) > 1
    return any(len(set(end.get_data().ravel().tolist())) > 1 for end in ends)


def _is_quantized(value: Any) -> bool:
    """Whether FakeQuantize made it or all that it was joined of, moved since or not.

    Read from ONNX, the arithmetic of a DequantizeLinear follows it.
    """
    node = value.get_node()
    while node.get_type_name() != _FAKE:
        if node.get_type_name() == "Concat":
            return all(_is_quantized(part) for part in node.input_values())
        arithmetic = node.get_type_name() in ("Multiply", "Subtract") and _is_constant(node.input_value(1))
        if not arithmetic and node.get_type_name() not in _MOVES:
            return False
        node = node.input_value(0).get_node()
    return True


def _is_fake_behind(operation: Any, parts: list[Any], quantized: list[bool]) -> bool:
    """Whether the parts in float come straight from convolutions, and the result is quantized: then it is
    computed where the convolution is, or in eight bits.
    """
    floats = [part for part, done in zip(parts, quantized, strict=True) if not done]
    return all(_is_convolved(part) for part in floats) and any(
        reader.get_type_name() == _FAKE or any(item.get_type_name() == _FAKE for item in _readers(reader))
        for reader in _readers(operation)
    )


def _is_convolved(value: Any) -> bool:
    """Whether a convolution made it, its bias and cut included, and nothing else reads it."""
    node = value.get_node()
    while node.get_type_name() in _FUSED_BEHIND and len(_readers(node)) == 1:
        if len(node.input_values()) > 1 and not _is_constant(node.input_value(1)):
            return False
        node = node.input_value(0).get_node()
    return node.get_type_name() in (_CONVOLUTION, "GroupConvolution") and len(_readers(node)) == 1


RULES = (levels, activations_per_channel, half_quantized, dynamic_shapes)
