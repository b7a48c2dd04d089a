"""Takes channels out, the least important first, until few enough operations or parameters are left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import nn

from compress.options.prune import PruneOptions
from compress.pruning.blocks import Blocks, channels_of, find_blocks, floors_of
from compress.pruning.statistics import estimate_statistics
from compress.training.data import LabelledTensors
from compress.zoo.base import FractureNet
from compress.zoo.cost import cost_of
from runtime.errors import StepError

Count = Callable[[], int]


def prune_network(
    network: FractureNet,
    options: PruneOptions,
    fit: LabelledTensors,
    kept: Mapping[str, float] | None = None,
) -> None:
    """Remove `options.ratio` of the MACs or parameters in place, in `options.iterations` rounds.

    Importances are measured anew for each round. kept: share of its channels that a group keeps, by the name
    of its first convolution, where that is more than usual. Raises StepError where not so much can go.
    """
    floors = floors_of(network, options.round_to, kept)
    left = _counter(network, options.target)
    whole = left()
    for number in range(1, options.iterations + 1):
        if number > 1:
            estimate_statistics(network, fit)
        found = find_blocks(network, options, fit, floors)
        _remove(
            network, found, left, (whole * (1 - options.ratio * number / options.iterations), options.target)
        )
    network.eval()


def _remove(network: FractureNet, found: Blocks, left: Count, wanted: tuple[float, str]) -> None:
    """wanted: how much may be left, and of what."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    alive = {layer: list(range(layer.out_channels)) for layer in layers}
    for block in found.blocks:
        if left() <= wanted[0]:
            return
        known = alive[block.root]
        channels = [known.index(channel) for channel in block.channels]
        found.graph.get_pruning_group(block.root, block.handler, channels).prune()
        alive[block.root] = [channel for channel in known if channel not in block.channels]
    if left() > wanted[0]:
        raise StepError(
            f"cannot remove more than this: {left()} {wanted[1]} are left, wanted {wanted[0]:.0f}",
            "lower [prune] ratio, round_to, or raise tolerance where it is set",
        )


def _counter(network: FractureNet, target: str) -> Count:
    if target == "parameters":
        return lambda: sum(parameter.numel() for parameter in network.parameters())
    positions = _positions(network)
    # Every weight is used once a position.
    return lambda: sum(count * _weights(layer) for layer, count in positions.items())


def _positions(network: FractureNet) -> dict[nn.Conv2d, int]:
    """Output positions of each convolution, which pruning does not change."""
    layers, macs = dict(network.named_modules()), cost_of(network).layer_macs
    return {cast(nn.Conv2d, layers[name]): count // _weights(layers[name]) for name, count in macs.items()}


def _weights(layer: nn.Module) -> int:
    return cast(nn.Conv2d, layer).weight.numel()


def channel_changes(before: Mapping[str, int], network: FractureNet) -> dict[str, list[int]]:
    """Of every convolution how many outputs it had, and has."""
    after = channels_of(network)
    return {name: [count, after[name]] for name, count in before.items()}
