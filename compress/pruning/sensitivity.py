"""How much the loss rises where channels of one group alone go: what each group can spare.

Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 3.2, with the groups of the dependency graph
in place of layers, and batch-norm statistics measured anew before the loss is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from compress.datasets.progress import Progress, silent
from compress.options.prune import GLOBAL_SCOPE, PruneOptions
from compress.pruning.blocks import Block, Blocks, dependency_graph, find_blocks, floors_of
from compress.pruning.statistics import batches, estimate_statistics
from compress.training.data import LabelledTensors
from compress.training.loop import positive_weight
from compress.training.losses import label_loss
from compress.zoo.base import FractureNet

SHARES = (0.25, 0.5, 0.75)
"""Of a group's channels, that are tried."""
_LOSS_IMAGES = 128
_STATISTICS_IMAGES = 64


@dataclass(frozen=True)
class Spared:
    """One group: its first convolution, how many channels it has, and the loss without some of them.

    rises: by the share of its channels that went, the rise of the loss as a share of it; what lies behind the
    first rise above the tolerance was not tried. spare: the largest share that may go.
    """

    group: str
    channels: int
    rises: dict[str, float]
    spare: float

    def to_json(self) -> dict[str, Any]:
        """For the record of a step."""
        return asdict(self)


def examine_groups(
    network: FractureNet,
    options: PruneOptions,
    data: tuple[LabelledTensors, LabelledTensors],
    progress: Progress = silent,
) -> tuple[Spared, ...]:
    """Every group that can lose channels, in the network's order. Changes nothing.

    data: fit images, for importances and statistics, and images that the network has not learned from, for
    the loss.
    """
    fit, unseen = data
    whole = _loss(network, unseen)
    alike = replace(options, scope=GLOBAL_SCOPE)
    found = find_blocks(copy.deepcopy(network), alike, fit, floors_of(network, options.round_to))
    groups = _by_group(network, found)
    spared = []
    for done, (name, blocks) in enumerate(groups.items(), start=1):
        rises = dict(_rises(network, blocks, data, (whole, options.tolerance)))
        spare = max((share for share, rise in rises.items() if rise <= options.tolerance), default=0.0)
        count = blocks[0].root.out_channels
        spared.append(Spared(name, count, {f"{share:g}": round(r, 4) for share, r in rises.items()}, spare))
        progress(done, len(groups))
    return tuple(spared)


def kept_shares(spared: tuple[Spared, ...]) -> dict[str, float]:
    """What every group keeps at least, for compress.pruning.cut."""
    return {item.group: 1 - item.spare for item in spared}


def _by_group(network: FractureNet, found: Blocks) -> dict[str, list[Block]]:
    groups: dict[str, list[Block]] = {}
    for block in found.blocks:
        groups.setdefault(block.group, []).append(block)
    order = [name for name, _ in network.named_modules()]
    return {name: groups[name] for name in sorted(groups, key=order.index)}


def _rises(
    network: FractureNet,
    blocks: list[Block],
    data: tuple[LabelledTensors, LabelledTensors],
    limits: tuple[float, float],
) -> Iterator[tuple[float, float]]:
    """(Share that went, rise) until the rise is above what is tolerated, or no more can go."""
    whole, tolerance = limits
    count, last = blocks[0].root.out_channels, 0
    for share in SHARES:
        going = _as_many_as(blocks, share * count)
        if len(going) == last:
            continue  # the group's floor, or blocks larger than the step
        last = len(going)
        rise = _loss(_without(network, blocks[0].group, going, data[0]), data[1]) / whole - 1
        yield share, rise
        if rise > tolerance:
            return


def _as_many_as(blocks: list[Block], most: float) -> list[int]:
    channels: list[int] = []
    for block in blocks:
        if len(channels) + len(block.channels) > most:
            break
        channels += block.channels
    return channels


def _without(network: FractureNet, group: str, channels: list[int], fit: LabelledTensors) -> FractureNet:
    """A copy that has lost these channels."""
    smaller = copy.deepcopy(network)
    graph = dependency_graph(smaller)
    root = dict(smaller.named_modules())[group]
    graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, channels).prune()
    estimate_statistics(smaller, fit, _STATISTICS_IMAGES)
    return smaller


def _loss(network: FractureNet, unseen: LabelledTensors) -> float:
    network.eval()
    weight, total, images = positive_weight(unseen.labels), 0.0, 0
    with torch.no_grad():
        for inputs, labels in batches(unseen, _LOSS_IMAGES):
            total += float(label_loss(network(*inputs)[0], labels, weight)) * len(labels)
            images += len(labels)
    return total / images
