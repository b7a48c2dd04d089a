"""What a network costs: multiply-accumulates for one image, and parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
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
            network(*network.example_inputs())
    finally:
        network.train(was_training)
    macs = _own_macs(counter, type(network).__name__)
    return Cost(sum(macs.values()), sum(p.numel() for p in network.parameters()), macs)


def _own_macs(counter: FlopCounterMode, root: str) -> dict[str, int]:
    """Of each layer without those of the layers called inside it. A list of layers is never called itself."""
    counted = {name: sum(kinds.values()) // 2 for name, kinds in counter.get_flop_counts().items()}
    counts = {name: macs for name, macs in counted.items() if name == root or name.startswith(f"{root}.")}
    own = dict(counts)
    for name, macs in counts.items():
        caller = _caller(name, counts)
        if caller:
            own[caller] -= macs
    return {name.removeprefix(root).lstrip("."): macs for name, macs in own.items() if macs}


def _caller(name: str, called: dict[str, int]) -> str:
    """The layer around this one that was called, "" for the network itself."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in called:
            return name
    return ""
