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


FAMILIES = tuple(name for name in zoo.NAMES if name not in ("efficientnet_lite1", "efficientnet_lite2"))
"""One of each kind: Lite1 and Lite2 are Lite0 with more layers."""
PRUNABLE = tuple(name for name in FAMILIES if zoo.traits_of(name).prunable)
_SMALL = {"ann": 0.25, "densenet121": 0.25, "resnet18": 0.25, "resnet50": 0.25, "vit": 1 / 3}
"""Widths at which a test is about the network and not about its size."""


def small_options(name: str, channels: int = 1) -> ModelOptions:
    """The network as narrow as tests of every network want it."""
    return ModelOptions(name, width=_SMALL.get(name, 1.0), channels=channels)


def random_network(name: str, size_px: int, seed: int = 0, width: float = 1.0) -> FractureNet:
    """A network whose batch normalisation is not the identity, as after training."""
    torch.manual_seed(seed)
    return _settled(zoo.build(ModelOptions(name, width=width), size_px))


def small_network(name: str, size_px: int = 64, channels: int = 1) -> FractureNet:
    """The same, as narrow as small_options."""
    torch.manual_seed(0)
    return _settled(zoo.build(small_options(name, channels), size_px))


def _settled(network: FractureNet) -> FractureNet:
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.uniform_(-0.3, 0.3)
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.6, 1.4)
    return network


def networks_of_each_kind(size_px: int) -> list[FractureNet]:
    """One of each family."""
    return [small_network(name, size_px) for name in FAMILIES]


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
