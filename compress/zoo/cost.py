"""What a network costs: multiply-accumulates for one image, and parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compress.zoo.base import FractureNet


@dataclass(frozen=True)
class Cost:
    """macs: of convolutions and matrix products for one image, layers' and attention's alike; the rest
    (normalisation, activation, pooling, the unrolled sums of a scan or of routing) folds or is small.

    parameters: learned numbers. layer_macs: by the name of the layer that computes them itself.
    """

    macs: int
    parameters: int
    layer_macs: dict[str, int]


def cost_of(network: FractureNet) -> Cost:
    """Count by running one empty image through the network."""
    counter = FlopCounterMode(display=False)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), counter:
            network(torch.zeros(1, 1, network.size_px, network.size_px))
    finally:
        network.train(was_training)
    macs = _own_macs(network, counter)
    return Cost(sum(macs.values()), sum(p.numel() for p in network.parameters()), macs)


def _own_macs(network: nn.Module, counter: FlopCounterMode) -> dict[str, int]:
    """Of each layer without those of the layers inside it."""
    prefix = type(network).__name__
    counts = {name: sum(kinds.values()) // 2 for name, kinds in counter.get_flop_counts().items()}
    own = {}
    for name, layer in network.named_modules():
        path = f"{prefix}.{name}" if name else prefix
        inside = sum(counts.get(f"{path}.{child}", 0) for child, _ in layer.named_children())
        own[name] = counts.get(path, 0) - inside
    return {name: macs for name, macs in own.items() if macs}
