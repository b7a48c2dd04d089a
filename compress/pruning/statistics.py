"""Batch-norm statistics measured anew, since those of the whole network do not hold for a part of it.

Li et al. 2020, "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from compress.training.data import LabelledTensors
from compress.zoo.base import FractureNet

IMAGES = 512
_BATCH = 32


def estimate_statistics(network: FractureNet, fit: LabelledTensors, images: int = IMAGES) -> None:
    """Measure every batch-norm mean and variance on fit images, as a plain average over batches."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for a cumulative average
        layer.train()
    with torch.no_grad():
        for inputs, _ in batches(fit, images):
            network(*inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


def batches(data: LabelledTensors, limit: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """(Inputs, labels) of images spread evenly over the set, whose order may follow the patients."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(limit, len(data))).round().astype(int))
    mixed = rows[np.random.default_rng(0).permutation(len(rows))]
    for start in range(0, len(mixed), _BATCH):
        chosen = np.sort(mixed[start : start + _BATCH])
        yield data.inputs(chosen), torch.from_numpy(data.labels[chosen])
