"""A small network, three layers deep, that eight bits do not hurt, and ways to hurt it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from compress.options.target import TargetOptions
from compress.steps.export_onnx import to_onnx
from compress.steps.quantize_openvino import quantize_openvino
from compress.steps.quantize_ort import quantize_ort
from compress.zoo.base import EvidenceHead, FractureNet
from compress.zoo.fused import fuse
from compress.zoo.options import ModelOptions
from tests.compress.steps import graphs
from tests.facts import SPEC

FIRST, SECOND, THIRD = (f"/features/features.{index}/Relu_output_0" for index in (2, 5, 8))
"""What the layers give, the second in the middle of the network."""
CONVOLUTION = "/features/features.3/Conv_output_0"
WEIGHTS = "features.3.weight"


@functools.cache
def exported(mirror: bool = False, facts: bool = False) -> bytes:
    network = _settled(mirror)
    if facts:
        network = fuse(network, SPEC)
        for parameter in network.head.modulation.parameters():
            nn.init.normal_(parameter, std=0.3)
    return to_onnx(network.eval()).SerializeToString()


def write(folder: Path, model: bytes | onnx.ModelProto, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def quantized(engine: str, source: Path, folder: Path, data=None) -> Path:
    """All eight bits of the weights, whatever the processor."""
    folder.mkdir()
    quantizer = {"onnxruntime": quantize_ort, "openvino": quantize_openvino}[engine]
    images = graphs.calibration() if data is None else data
    return folder / quantizer(source, folder, images, TargetOptions(engine), reduce_range=False).main


def feeds(count: int = 16, facts: bool = False) -> list[dict[str, np.ndarray]]:
    found = [{"image": image[None]} for image in graphs.images(count, seed=77)]
    rows = np.random.default_rng(0).random((count, 1, SPEC.width)).astype(np.float32)
    return [{**feed, "metadata": row} for feed, row in zip(found, rows, strict=True)] if facts else found


def with_weights_of_two_bits(path: Path, folder: Path) -> Path:
    """The convolution in the middle, float or in integers, rounded to a few steps of its range."""
    model = onnx.load(str(path))
    tensor = next(item for item in model.graph.initializer if item.name in (WEIGHTS, f"{WEIGHTS}_quantized"))
    values = numpy_helper.to_array(tensor)
    step = np.abs(values.astype(float)).max() / 2
    _replace(tensor, np.round(values / step) * step)
    return write(folder, model, "few-bits.onnx")


def with_scale(path: Path, folder: Path, factor: float) -> Path:
    """The pair behind the middle of the network, with another scale for both of its halves."""
    model = onnx.load(str(path))
    node = _pair(model)[0]
    tensor = next(item for item in model.graph.initializer if item.name == node.input[1])
    _replace(tensor, numpy_helper.to_array(tensor) * factor)
    return write(folder, model, "scale.onnx")


def with_zero_point(path: Path, folder: Path, shift: int) -> Path:
    """The pair there, dequantized with another zero point than it was quantized with."""
    model = onnx.load(str(path))
    node = _pair(model)[1]
    tensor = next(item for item in model.graph.initializer if item.name == node.input[2])
    other = numpy_helper.from_array((numpy_helper.to_array(tensor) + shift).astype(np.uint8), "another")
    model.graph.initializer.append(other)
    node.input[2] = other.name
    return write(folder, model, "zero.onnx")


def _pair(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    quantize = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == SECOND)
    return [quantize, next(n for n in model.graph.node if n.input and n.input[0] == quantize.output[0])]


def _replace(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    kind = numpy_helper.to_array(tensor).dtype
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, kind), tensor.name))


def _settled(mirror: bool) -> FractureNet:
    torch.manual_seed(3)
    layers: list[nn.Module] = []
    for before, after, stride in ((1, 8, 2), (8, 16, 2), (16, 16, 1)):
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    options = ModelOptions("cnn", mirror=mirror)
    network = FractureNet(nn.Sequential(*layers), EvidenceHead(16, 1.0), options, graphs.SIZE_PX)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(graphs.images(32, seed=9)))
    return network.eval()
