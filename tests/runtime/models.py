"""Small models with Ulna's own inputs and outputs, built in memory: linear in the mean brightness."""

from __future__ import annotations

import importlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, ModelFiles
from runtime.backends.quiet import import_openvino
from runtime.backends.trt import logger as trt_logger

SIZE_PX = 32
MAP_SIZE = SIZE_PX // 4


def onnx_bytes(gain: float = 4.0, bias: float = 0.0, batch: str | int = "batch") -> bytes:
    """map = gain * 4x4 mean of the image + bias, logit = mean of map."""
    kernel = numpy_helper.from_array(np.full((1, 1, 4, 4), gain / 16, np.float32), "kernel")
    offset = numpy_helper.from_array(np.full(1, bias, np.float32), "offset")
    nodes = [
        helper.make_node("Conv", [INPUT_NAME, "kernel", "offset"], [MAP_NAME], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", [MAP_NAME], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [LOGIT_NAME], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mean_brightness",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [batch, 1, SIZE_PX, SIZE_PX])],
        [
            helper.make_tensor_value_info(LOGIT_NAME, TensorProto.FLOAT, [batch, 1]),
            helper.make_tensor_value_info(MAP_NAME, TensorProto.FLOAT, [batch, 1, MAP_SIZE, MAP_SIZE]),
        ],
        [kernel, offset],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@dataclass(frozen=True)
class Misplacing:
    """What becomes of the map behind the network: transposed, then rows and columns taken in this order, then
    multiplied. The logit stays right.
    """

    transposed: bool = False
    rows: tuple[int, ...] = tuple(range(MAP_SIZE))
    columns: tuple[int, ...] = tuple(range(MAP_SIZE))
    factor: float = 1.0


def misplacing_onnx_bytes(mistake: Misplacing) -> bytes:
    """The same model with its second output spoilt."""
    model = onnx.load_from_string(onnx_bytes())
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["sound" if name == MAP_NAME else name for name in names]
    model.graph.node.extend(
        [
            helper.make_node(
                "Transpose", ["sound"], ["turned"], perm=[0, 1, 3, 2] if mistake.transposed else [0, 1, 2, 3]
            ),
            helper.make_node("Gather", ["turned", "rows"], ["by_rows"], axis=2),
            helper.make_node("Gather", ["by_rows", "columns"], ["by_columns"], axis=3),
            helper.make_node("Mul", ["by_columns", "factor"], [MAP_NAME]),
        ]
    )
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(mistake.rows, np.int64), "rows"),
            numpy_helper.from_array(np.array(mistake.columns, np.int64), "columns"),
            numpy_helper.from_array(np.array(mistake.factor, np.float32), "factor"),
        ]
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def onnx_files(gain: float = 4.0, bias: float = 0.0) -> ModelFiles:
    """For ONNX Runtime."""
    return ModelFiles(onnx_bytes(gain, bias))


def openvino_files(gain: float = 4.0, bias: float = 0.0) -> ModelFiles:
    """The same model as OpenVINO IR."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        openvino.save_model(openvino.Core().read_model(io.BytesIO(onnx_bytes(gain, bias))), xml)
        return ModelFiles(xml.read_bytes(), xml.with_suffix(".bin").read_bytes())


def expected_logit(tensor: np.ndarray, gain: float = 4.0, bias: float = 0.0) -> np.ndarray:
    """What the model computes, by numpy: (N, 1)."""
    return (gain * tensor.mean(axis=(1, 2, 3)) + bias)[:, None]


def expected_map(tensor: np.ndarray, gain: float = 4.0) -> np.ndarray:
    """What the model computes as its map for one (1, 1, S, S) tensor, by numpy: (S / 4, S / 4)."""
    return gain * tensor.reshape(MAP_SIZE, 4, MAP_SIZE, 4).mean(axis=(1, 3))


def tensorrt_files(library: str, gain: float = 4.0, bias: float = 0.0) -> ModelFiles:
    """The same model as a TensorRT engine for batches of 1 to 8; tensorrt_rtx builds without a GPU."""
    trt = importlib.import_module(library)
    logger = trt_logger(library)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(onnx_bytes(gain, bias))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    low, middle, high = ((batch, 1, SIZE_PX, SIZE_PX) for batch in (1, 1, 8))
    profile.set_shape(INPUT_NAME, low, middle, high)
    config.add_optimization_profile(profile)
    return ModelFiles(bytes(builder.build_serialized_network(network, config)))
