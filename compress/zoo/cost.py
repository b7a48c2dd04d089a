"""What a network costs: multiply-accumulates for one image, and parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.zoo.base import FractureNet


@dataclass(frozen=True)
class Cost:
    """macs: of convolutions for one image; the rest (normalisation, activation, pooling) folds or is small.

    parameters: learned numbers. layer_macs: by the layer's name.
    """

    macs: int
    parameters: int
    layer_macs: dict[str, int]


def cost_of(network: FractureNet) -> Cost:
    """Count by running one empty image through the network."""
    macs: dict[str, int] = {}
    hooks = [
        layer.register_forward_hook(_counter(name, macs))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 1, network.size_px, network.size_px))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return Cost(sum(macs.values()), sum(p.numel() for p in network.parameters()), macs)


def _counter(name: str, macs: dict[str, int]):  # type: ignore[no-untyped-def]
    def count(layer: nn.Conv2d, _: tuple[Tensor, ...], output: Tensor) -> None:
        kernel = layer.kernel_size[0] * layer.kernel_size[1]
        macs[name] = output.numel() * (layer.in_channels // layer.groups) * kernel

    return count
