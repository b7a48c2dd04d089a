"""Small networks and tasks for tests of the torch side."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from compress import zoo
from compress.training.data import MASK_STRIDE_PX, LabelledTensors, TrainData
from compress.zoo.base import FractureNet
from compress.zoo.options import ModelOptions
from runtime.preprocess import PreprocessSpec

SPOT_PX = 10


def random_network(name: str, size_px: int, seed: int = 0, width: float = 1.0) -> FractureNet:
    """A network whose batch normalisation is not the identity, as after training."""
    torch.manual_seed(seed)
    network = zoo.build(ModelOptions(name, width=width), size_px)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.uniform_(-0.3, 0.3)
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.6, 1.4)
    return network


def networks_of_each_kind(size_px: int) -> list[FractureNet]:
    """One of each name."""
    return [random_network(name, size_px) for name in zoo.NAMES]


def spots(count: int, size_px: int, seed: int) -> LabelledTensors:
    """Noise in [-1, 1]; half of the images hold a bright spot, which is the fracture, at a random place."""
    generator = np.random.default_rng(seed)
    tensors = generator.uniform(-1, 0.2, (count, 1, size_px, size_px)).astype(np.float32)
    labels = (np.arange(count) % 2).astype(np.float32)
    cells = size_px // MASK_STRIDE_PX
    masks = np.zeros((count, cells, cells), np.uint8)
    for number in np.flatnonzero(labels):
        y, x = generator.integers(0, size_px - SPOT_PX, 2)
        tensors[number, 0, y : y + SPOT_PX, x : x + SPOT_PX] += 0.6
        masks[number, y // 4 : -(-(y + SPOT_PX) // 4), x // 4 : -(-(x + SPOT_PX) // 4)] = 1
    return LabelledTensors(tensors, labels, masks)


def spot_data(fit: int = 96, calibration: int = 48, size_px: int = 48) -> TrainData:
    """Two such sets."""
    spec = PreprocessSpec(size_px=size_px)
    return TrainData(spots(fit, size_px, 1), spots(calibration, size_px, 2), spec)
