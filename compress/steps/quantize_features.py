"""Of a graph whose features nobody has learned, what eight bits hold: counts of comparisons, nothing else.

A network has learned to give its channels like scales, and averages its rounding errors over many layers. The
graphs of the classical baselines (compress.classical) compute features by formulas: one range would have to
hold shares of 0.01 beside contrasts of 40 and the squares of both, quotients and logarithms enlarge what
rounding did to small values, and trees compare the results with thresholds. All that stays in float, and so
does what was fitted to it. But where a convolution reads the outcomes of comparisons, zeros and ones, it
counts, and eight bits hold that exactly: how many neighbours have each gray level, most of the
multiplications in such a graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from compress.steps.graph import load_graph, name_nodes
from runtime.backends.base import INPUT_NAME
from runtime.errors import StepError

_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_KEEP_WHOLE = ("Cast", "Concat", "Identity", "Reshape", "Slice", "Split", "Sub")
"""Operators of which whole numbers come out when whole numbers go in."""
_LARGEST = 255
_OF_WHOLE_NUMBERS = (*_COMPARISONS, *_KEEP_WHOLE, "Constant")
_OF_SHAPES = ("Shape", "Size")


def has_formulas(model: onnx.ModelProto) -> bool:
    """Whether something of the image is compared with something: no network does that, every baseline."""
    touched = {INPUT_NAME}
    for node in model.graph.node:  # a valid graph is in topological order
        if touched.intersection(node.input) and node.op_type not in _OF_SHAPES:
            if node.op_type in _COMPARISONS:
                return True
            touched.update(node.output)
    return False


def counting_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions that read nothing but outcomes of comparisons."""
    makers = {output: node for node in model.graph.node for output in node.output}
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and _is_compared(node.input[0], makers)
    )


def formula_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes of a graph with formulas that stay in float, all that count nothing; of others ().

    Raises StepError where nothing would be left to quantize.
    """
    if not has_formulas(model):
        return ()
    counting = counting_nodes(model)
    if not counting:
        raise StepError(
            "nothing in this graph suits eight bits: its features are formulas in float, and no convolution "
            "counts outcomes of comparisons",
            'take precisions = ["fp32"] for this target, or add "glcm" to the features',
        )
    return tuple(node.name for node in model.graph.node if node.name not in counting)


def float_formulas(source: Path, operators: tuple[str, ...]) -> tuple[str, ...]:
    """Of a file's formula_nodes those that a quantizer of `operators` would have taken, for the record."""
    model = load_graph(source)
    name_nodes(model)
    kept = formula_nodes(model)
    return tuple(node.name for node in model.graph.node if node.name in kept and node.op_type in operators)


def ranges_of_counts(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """What the counting convolutions give, by tensor, as ONNX Runtime's quantizer takes ranges: from 0 so far
    that the step of unsigned eight bits is 1 / n, and every count lies on it.

    Of convolutions whose kernel is zeros and ones; the others are left to the calibration images.
    """
    kernels = {tensor.name: tensor for tensor in model.graph.initializer}
    counting, ranges = counting_nodes(model), {}
    for node in model.graph.node:
        if node.name in counting and len(node.input) == 2 and node.input[1] in kernels:
            kernel = numpy_helper.to_array(kernels[node.input[1]])
            most = int(kernel.reshape(len(kernel), -1).sum(axis=1).max())
            if np.isin(kernel, (0, 1)).all() and 0 < most <= _LARGEST:
                end = np.array(_LARGEST / (_LARGEST // most), np.float32)
                ranges[node.output[0]] = [{"rmin": np.zeros_like(end), "rmax": end}]
    return ranges


def _is_compared(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    """Whether comparisons made this tensor, and nothing since but differences, parts and joins; constants may
    have a part in it.
    """
    waiting, seen, compared = [name], set(), False
    while waiting:
        tensor = waiting.pop()
        node = makers.get(tensor)
        if tensor == INPUT_NAME or (node is not None and node.op_type not in _OF_WHOLE_NUMBERS):
            return False
        if node is None or tensor in seen:
            continue
        seen.add(tensor)
        compared = compared or node.op_type in _COMPARISONS
        waiting += () if node.op_type in _COMPARISONS else node.input
    return compared
