"""Whether a graph's convolutions are 2:4 sparse, in float or behind the dequantization of their integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_GROUP, _ZEROS = 4, 2


def has_sparse_layers(model: onnx.ModelProto) -> bool:
    """Whether any convolution's filters hold two zeros in every four neighbouring input channels."""
    return any(_is_two_four(weight) for weight in _filters(model.graph))


def _filters(graph: onnx.GraphProto) -> Iterator[NDArray[np.generic]]:
    """(O, I, h, w) of every convolution whose weights are constants."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    made_from = {node.output[0]: node.input[0] for node in quantizers}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        name = node.input[1]
        while name in made_from:
            name = made_from[name]
        if name in tensors:
            yield numpy_helper.to_array(tensors[name])


def _is_two_four(weight: NDArray[np.generic]) -> bool:
    if weight.ndim != 4 or weight.shape[1] % _GROUP:
        return False
    outputs, inputs, height, width = weight.shape
    groups = np.moveaxis(weight, 1, -1).reshape(outputs, height, width, inputs // _GROUP, _GROUP)
    return bool(((groups == 0).sum(axis=-1) >= _ZEROS).all())
