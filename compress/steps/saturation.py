"""Does INT8 arithmetic saturate here? Asked of the engine itself, on this processor, with the largest values.

On x86 with AVX2 but without VNNI the kernels add two products of an unsigned and a signed byte in 16 bits:
255 * 127 + 255 * 127 does not fit. Flags of the processor say where that is to be expected; what an engine
really does depends on its version and its choice of kernel too, so one convolution is computed and looked at.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compress.steps import openvino_tools
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend

_CHANNELS, _SIDE_PX, _KERNEL_PX = 16, 8, 3
_OUT_PX = _SIDE_PX - _KERNEL_PX + 1
_LARGEST_INPUT, _LARGEST_WEIGHT = 255, 127
_TOLERANCE = 0.02
ENGINES = ("onnxruntime", "openvino")


@cache
def saturates(engine: str) -> bool:
    """Whether one convolution of the largest values comes out smaller than it is.

    Raises ValueError for an engine that is not of ENGINES, BackendMissingError where it is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    exact = _LARGEST_INPUT * _LARGEST_WEIGHT * _CHANNELS * _KERNEL_PX**2
    image = np.full((1, _CHANNELS, _SIDE_PX, _SIDE_PX), _LARGEST_INPUT, np.float32)
    found = _in_onnxruntime(image, exact) if engine == "onnxruntime" else _in_openvino(image)
    return bool(np.abs(found / exact - 1).max() > _TOLERANCE)


def _in_onnxruntime(image: NDArray[np.float32], exact: int) -> NDArray[np.float32]:
    """Q/DQ around a convolution on both sides, which ONNX Runtime computes in integers."""
    steps = {"in": 1.0, "weight": 1.0, "out": exact / 200}
    tensors = [
        numpy_helper.from_array(np.array(step, np.float32), f"{name}_step") for name, step in steps.items()
    ]
    weights = np.full((_CHANNELS, _CHANNELS, _KERNEL_PX, _KERNEL_PX), _LARGEST_WEIGHT, np.int8)
    tensors += [
        numpy_helper.from_array(np.array(0, np.uint8), "zero"),
        numpy_helper.from_array(np.array(0, np.int8), "signed_zero"),
        numpy_helper.from_array(weights, "weight"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "in_step", "zero"], ["image_q"]),
        helper.make_node("DequantizeLinear", ["image_q", "in_step", "zero"], ["image_dq"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_step", "signed_zero"], ["weight_dq"]),
        helper.make_node("Conv", ["image_dq", "weight_dq"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "out_step", "zero"], ["sum_q"]),
        helper.make_node("DequantizeLinear", ["sum_q", "out_step", "zero"], ["logit"]),
    ]
    doors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", list(image.shape)), ("logit", [1, _CHANNELS, _OUT_PX, _OUT_PX]))
    ]
    graph = helper.make_graph(nodes, "saturation", doors[:1], doors[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return OrtBackend(ModelFiles(model.SerializeToString())).infer({"image": image})["logit"]


def _in_openvino(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """FakeQuantize on both inputs of a convolution, as NNCF leaves it; the plugin turns it to integers."""
    openvino = openvino_tools.load_openvino()
    ops = openvino.opset13
    weights = np.full((_CHANNELS, _CHANNELS, _KERNEL_PX, _KERNEL_PX), _LARGEST_WEIGHT, np.float32)
    given = ops.parameter(list(image.shape), np.float32, name="image")
    image_q = ops.fake_quantize(given, *map(np.float32, (0, 255, 0, 255)), 256)
    weight_q = ops.fake_quantize(ops.constant(weights), *map(np.float32, (-127, 127, -127, 127)), 255)
    total = ops.convolution(image_q, weight_q, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([total], [given], "saturation")
    compiled = openvino.Core().compile_model(model, "CPU")
    return np.asarray(compiled(image)[0], np.float32)
