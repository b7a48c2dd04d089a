"""Rounds convolution weights to their INT8 grid so that the outputs change least, not the weights.

Rounding each weight to the nearest step ignores that a kernel's errors add up: in a depthwise 3x3 kernel over
a smooth image all nine sum to a shift of the whole channel. Here the errors of one output channel are chosen
together, minimising e' H e with H the covariance of the inputs on calibration images (the objective of Nagel
et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization"), by coordinate descent: no single
step up or down lowers it further, and it is never above that of nearest rounding. What remains of the mean
goes into the bias (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction"). The largest weight of a channel stays where it is, so that every quantizer finds the same grid,
and a weight of zero stays zero, so that 2:4 sparsity outlives quantization.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compress.steps.calibration import CalibrationData
from compress.steps.graph import head_nodes, metadata_nodes

QMAX = 127
QMAX_REDUCED = 64
"""Largest integer of a signed symmetric weight; with reduced range ONNX Runtime's quantizer uses 64."""
_IMAGES = 48
_POSITIONS = 96
_PASSES = 3
_DAMPING = 1e-3
_MAX_TERMS = 4096
"""Inputs of one output value; beyond, the covariance takes more memory than the gain is worth."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ConvInputs:
    """What a convolution of g groups reads, d values for each output value.

    mean: (g, d). covariance: (g, d, d).
    """

    mean: Array
    covariance: Array


def round_weights(model: onnx.ModelProto, calibration: CalibrationData, qmax: int = QMAX) -> onnx.ModelProto:
    """A copy of `model` whose convolutions, but for head and facts, have weights on the grid of `qmax` steps.

    The graph keeps its nodes and names. Convolutions with computed weights or automatic padding are left.
    """
    rounded = copy.deepcopy(model)
    weights = {tensor.name: tensor for tensor in rounded.graph.initializer}
    kept = (*head_nodes(model), *metadata_nodes(model))
    nodes = [node for node in rounded.graph.node if _is_eligible(node, weights, kept)]
    for node, inputs in zip(nodes, _observe(model, nodes, weights, calibration), strict=True):
        _round_node(node, weights, inputs, qmax)
    return rounded


def choose_integers(weights: Array, inputs: Array, steps: Array, qmax: int) -> NDArray[np.int64]:
    """Integers n (g, o, d) with n * steps near `weights`, least (n * steps - w)' H (n * steps - w).

    weights: (g, o, d). inputs: H (g, d, d), positive definite. steps: (g, o, 1).
    """
    integers = np.clip(np.round(weights / steps), -qmax, qmax)
    largest = np.abs(weights).argmax(axis=2)[..., None] == np.arange(weights.shape[2])
    fixed = largest | (weights == 0)
    slope = (integers * steps - weights) @ inputs
    for _ in range(_PASSES):
        for j in range(weights.shape[2]):
            wanted = integers[..., j] - np.round(slope[..., j] / inputs[:, j, j][:, None] / steps[..., 0])
            moved = np.where(fixed[..., j], integers[..., j], np.clip(wanted, -qmax, qmax))
            groups, rows = np.nonzero(moved != integers[..., j])
            change = (moved - integers[..., j])[groups, rows] * steps[groups, rows, 0]
            integers[..., j] = moved
            slope[groups, rows] += change[:, None] * inputs[groups, j]
    return integers.astype(np.int64)


def _is_eligible(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto], kept: tuple[str, ...]) -> bool:
    if node.op_type != "Conv" or node.name in kept or any(name not in weights for name in node.input[1:]):
        return False
    attributes = _attributes(node)
    shape = weights[node.input[1]].dims
    plain = attributes.get("auto_pad", b"NOTSET") == b"NOTSET" and len(shape) == 4
    return plain and int(np.prod(shape[1:])) <= _MAX_TERMS


def _observe(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    calibration: CalibrationData,
) -> list[ConvInputs]:
    """Run the float graph and gather what each convolution reads at some positions of every image."""
    session = tapped_session(model, [node.input[0] for node in nodes])
    rng = np.random.default_rng(0)
    moments = [_Moments() for _ in nodes]
    for feed in calibration.spread(min(_IMAGES, len(calibration))).feeds():
        tapped = dict(
            zip((item.name for item in session.get_outputs()), session.run(None, feed), strict=True)
        )
        tapped |= feed
        for node, moment in zip(nodes, moments, strict=True):
            shape = tuple(weights[node.input[1]].dims)
            moment.add(_patches(tapped[node.input[0]][0], node, shape, rng))
    return [moment.finish() for moment in moments]


def tapped_session(model: onnx.ModelProto, names: list[str]) -> onnxruntime.InferenceSession:
    """A session that gives these tensors too."""
    tapped = copy.deepcopy(model)
    known = {item.name for item in (*model.graph.input, *model.graph.output)}
    extra = [name for name in dict.fromkeys(names) if name not in known]
    tapped.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in extra
    )
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        tapped.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )


class _Moments:
    """Sums over patches, in double precision."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: Any = 0.0
        self._products: Any = 0.0

    def add(self, patches: NDArray[np.float32]) -> None:
        """patches: (g, positions, d). One image's products are exact enough in single precision."""
        self._count += patches.shape[1]
        self._sum = self._sum + patches.sum(axis=1, dtype=np.float64)
        self._products = self._products + patches.transpose(0, 2, 1) @ patches

    def finish(self) -> ConvInputs:
        """Mean and damped covariance."""
        mean = self._sum / self._count
        covariance = self._products / self._count - mean[:, :, None] * mean[:, None, :]
        size = mean.shape[1]
        spread = np.trace(covariance, axis1=1, axis2=2) / size
        # A channel that never varies on these images still gets ordinary rounding.
        damping = _DAMPING * spread + 1e-9
        return ConvInputs(mean, covariance + damping[:, None, None] * np.eye(size))


def _patches(
    image: NDArray[np.float32], node: onnx.NodeProto, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(C, H, W) -> (g, positions, d): the inputs of some randomly chosen output positions."""
    attributes = _attributes(node)
    groups = int(attributes.get("group", 1))
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    edges = ((0, 0), (top, bottom), (left, right))
    padded = np.pad(image, edges) if any(map(any, edges)) else image
    dilation = attributes.get("dilations", [1, 1])
    extent = tuple((size - 1) * step + 1 for size, step in zip(shape[2:], dilation, strict=True))
    rows, columns = attributes.get("strides", [1, 1])
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(1, 2))
    windows = windows[:, ::rows, ::columns, :: dilation[0], :: dilation[1]]
    y = rng.integers(windows.shape[1], size=_POSITIONS)
    x = rng.integers(windows.shape[2], size=_POSITIONS)
    chosen = windows[:, y, x].reshape(groups, shape[1], _POSITIONS, -1)
    return chosen.transpose(0, 2, 1, 3).reshape(groups, _POSITIONS, -1)


def _round_node(
    node: onnx.NodeProto, weights: dict[str, onnx.TensorProto], inputs: ConvInputs, qmax: int
) -> None:
    tensor = weights[node.input[1]]
    given = numpy_helper.to_array(tensor)
    groups, terms = inputs.mean.shape
    flat = given.astype(np.float64).reshape(groups, -1, terms)
    steps = np.abs(flat).max(axis=2, keepdims=True) / qmax
    steps[steps == 0] = 1.0
    has_bias = len(node.input) > 2
    # The bias takes up a shift of the mean; without one the mean counts as an error like any other.
    mean_part = 0.0 if has_bias else inputs.mean[:, :, None] * inputs.mean[:, None, :]
    rounded = choose_integers(flat, inputs.covariance + mean_part, steps, qmax) * steps
    _replace(tensor, rounded.reshape(given.shape))
    if has_bias:
        bias = weights[node.input[2]]
        shift = ((rounded - flat) @ inputs.mean[:, :, None]).reshape(-1)
        _replace(bias, numpy_helper.to_array(bias) - shift)


def _replace(tensor: onnx.TensorProto, values: NDArray[np.floating]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
