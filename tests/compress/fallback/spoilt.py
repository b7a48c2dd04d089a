"""A network that INT8 destroys in one place: an outlier fills the range of what one convolution reads."""

from __future__ import annotations

import functools

import numpy as np
import onnx
from onnx import numpy_helper

from tests.compress.steps import graphs

SPOILT = "/features/features.2/second/second.0/Conv"
"""Node that reads the outlier."""
_MAKER = "/features/features.2/first/first.0/Conv"
_FACTOR = 3000.0


@functools.cache
def spoilt_bytes() -> bytes:
    """The residual network; one channel is made huge by a convolution and small again by the next one.

    Between them stands a ReLU, so in float the network is the same.
    """
    model = graphs.residual()
    nodes = {node.name: node for node in model.graph.node}
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    weights, bias = (held[name] for name in nodes[_MAKER].input[1:])
    for tensor in (weights, bias):
        _scale(tensor, np.s_[0], _FACTOR)
    _scale(held[nodes[SPOILT].input[1]], np.s_[:, 0], 1 / _FACTOR)
    return model.SerializeToString()


def _scale(tensor: onnx.TensorProto, place: object, factor: float) -> None:
    values = numpy_helper.to_array(tensor).copy()
    values[place] *= np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
