"""A network that INT8 spoils in one place: one channel fills the range of what a convolution reads."""

from __future__ import annotations

import copy
import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compress.training.data import LabelledTensors, TrainData
from compress.training.loop import TrainRun, train
from compress.training.options import AugmentOptions, TrainOptions
from compress.zoo.base import FractureNet
from compress.zoo.layers import ResidualBlock
from runtime.preprocess import PreprocessSpec
from tests.compress.networks import SPOT_PX, random_network
from tests.compress.steps import graphs

AS_THEY_ARE = AugmentOptions(rotate_degrees=0.0, flip=False, zoom=0.0, exposure=0.0, noise=0.0)
"""Ranges that a quantizer learns are those of images that nothing has changed."""


def images(count: int, seed: int) -> LabelledTensors:
    """Smooth shapes within [-1, 1]; every other one holds a bright spot, which is the fracture."""
    shapes: NDArray[np.float32] = np.clip(0.25 * graphs.images(count, seed), -1, 0.9)
    labels = (np.arange(count) % 2).astype(np.float32)
    places = np.random.default_rng(seed).integers(0, graphs.SIZE_PX - SPOT_PX, (count, 2))
    for number in np.flatnonzero(labels):
        y, x = places[number]
        shapes[number, 0, y : y + SPOT_PX, x : x + SPOT_PX] += 0.8
    side = graphs.SIZE_PX // 4
    return LabelledTensors(np.clip(shapes, -1, 1), labels, np.zeros((count, side, side), np.uint8))


def data(calibration_seed: int = 2) -> TrainData:
    return TrainData(images(128, 1), images(48, calibration_seed), PreprocessSpec(size_px=graphs.SIZE_PX))


def spoilt_network(factor: float = 300.0) -> FractureNet:
    """A trained one; `factor` 1 is the network before one of its channels was made an outlier."""
    return plant(copy.deepcopy(_trained()), factor)


def plant(network: FractureNet, factor: float) -> FractureNet:
    """One channel becomes `factor` times larger and then smaller again: in float nothing changes.

    Between the two layers of the block stands a ReLU, which lets a positive factor through.
    """
    assert isinstance(network.features, torch.nn.Sequential)
    block = next(layer for layer in network.features if isinstance(layer, ResidualBlock))
    normalisation, after = block.first[1], block.second[0]
    with torch.no_grad():
        normalisation.weight[0] *= factor
        normalisation.bias[0] *= factor
        after.weight[:, 0] /= factor
    return network


@functools.cache
def _trained() -> FractureNet:
    network = random_network("cnn", graphs.SIZE_PX, seed=3, width=0.5)
    options = TrainOptions(6, batch_size=16, learning_rate=4e-3, augment=AugmentOptions(rotate_degrees=0))
    with tempfile.TemporaryDirectory() as folder:
        train(network, data(), options, TrainRun(Path(folder), 1))
    return network
