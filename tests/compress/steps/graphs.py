"""Small real networks and radiograph-like images for the tests of the deployment steps."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import onnx
import torch
from torch import nn

from compress.steps.calibration import CalibrationData
from compress.steps.export_onnx import to_onnx
from compress.zoo import build
from compress.zoo.base import EvidenceHead, FractureNet
from compress.zoo.options import ModelOptions

SIZE_PX = 48


def images(count: int, seed: int = 0, size_px: int = SIZE_PX) -> np.ndarray:
    """(count, 1, S, S): smooth shapes with a little grain."""
    rng = np.random.default_rng(seed)
    shapes = [
        cv2.GaussianBlur(rng.normal(size=(size_px, size_px)), (0, 0), rng.uniform(2, 6)) for _ in range(count)
    ]
    grain = rng.normal(scale=0.05, size=(count, size_px, size_px))
    stacked = np.stack([shape / shape.std() for shape in shapes]) + grain
    return np.ascontiguousarray(stacked[:, None], np.float32)


def calibration(count: int = 32, seed: int = 0) -> CalibrationData:
    return CalibrationData(images(count, seed), tuple(f"case-{i}" for i in range(count)))


def residual_network() -> FractureNet:
    """The zoo's residual CNN, narrow, with normalisation statistics as after a training."""
    torch.manual_seed(0)
    return _settled(build(ModelOptions("cnn", width=0.5), SIZE_PX))


@functools.cache
def residual_bytes() -> bytes:
    """Its graph."""
    return to_onnx(residual_network()).SerializeToString()


@functools.cache
def depthwise_bytes() -> bytes:
    """Depthwise layers with ReLU6, as EfficientNet-Lite has them: hard to quantize."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
    for _ in range(2):
        layers += [nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
        layers += [nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16)]
    net = FractureNet(nn.Sequential(*layers), EvidenceHead(16, 1.0), ModelOptions("cnn"), SIZE_PX)
    return to_onnx(_settled(net)).SerializeToString()


def residual() -> onnx.ModelProto:
    return onnx.load_from_string(residual_bytes())


def count(model: onnx.ModelProto, operator: str) -> int:
    return sum(node.op_type == operator for node in model.graph.node)


def _settled(network: FractureNet) -> FractureNet:
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
            layer.momentum = None
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(images(32, seed=9)))
    return network.eval()
