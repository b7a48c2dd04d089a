"""Blocks of channels that go together or stay, each with what it matters.

Torch-Pruning's dependency graph (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning") says which
layers lose a channel together; depthwise convolutions and identities included.

Importances: `taylor` is the first-order change of the loss, summed over all that a channel touches (Molchanov
et al. 2019, "Importance Estimation for Neural Network Pruning"); its unit is the same in every layer, so
layers compare. The others look at weights alone, each group against its own mean: `magnitude` at the norm of
the filters that make a channel (Li et al. 2017, "Pruning Filters for Efficient ConvNets"), `group_norm` at
that of everything that goes with it (DepGraph), `bn_scale` at the factors of its batch normalisations (Liu et
al. 2017, "Learning Efficient Convolutional Networks through Network Slimming").
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import torch_pruning
from torch import nn
from torch_pruning.pruner import importance as importances

from compress.options.prune import LAYER_SCOPE, PruneOptions
from compress.pruning.statistics import batches
from compress.training.data import LabelledTensors
from compress.training.loop import positive_weight
from compress.training.losses import label_loss
from compress.zoo.base import FractureNet
from compress.zoo.fused import FusedHead
from runtime.errors import StepError

KEEP_SHARE = 0.25
"""Of a group's channels, whatever their importance: a layer must not close."""
_TAYLOR_IMAGES = 256
Floors = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Block:
    """channels: outputs of `root`, as they were numbered when the blocks were made. group: name of `root`."""

    group: str
    root: nn.Conv2d
    handler: Any
    channels: list[int]
    importance: float


@dataclass(frozen=True, eq=False)
class Blocks:
    """graph: that removes them. blocks: from the least important on, those of one group in their order."""

    graph: Any
    blocks: tuple[Block, ...]


def find_blocks(network: FractureNet, options: PruneOptions, fit: LabelledTensors, floors: Floors) -> Blocks:
    """What could go, of a network as it is now. floors: channels that each group keeps.

    Raises StepError where a group lacks what the importance looks at.
    """
    if options.importance == "taylor":
        _accumulate_gradients(network, fit)
    graph = dependency_graph(network)
    found = list(_all_blocks(network, graph, options, floors))
    network.zero_grad(set_to_none=True)
    return Blocks(graph, tuple(sorted(found, key=lambda block: block.importance)))


def floors_of(network: FractureNet, round_to: int, shares: Mapping[str, float] | None = None) -> Floors:
    """Of every convolution the channels that stay. shares: of some groups, what stays, if more than usual."""
    kept = shares or {}
    return {
        name: max(round_to, round(count * kept.get(name, KEEP_SHARE)))
        for name, count in channels_of(network).items()
    }


def channels_of(network: FractureNet) -> dict[str, int]:
    """Outputs of each convolution, by its name."""
    named = network.named_modules()
    return {name: layer.out_channels for name, layer in named if isinstance(layer, nn.Conv2d)}


def dependency_graph(network: FractureNet) -> Any:
    """Torch-Pruning's."""
    # Tracing follows autograd, so gradients must be on.
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch_pruning.DependencyGraph().build_dependency(
            network, example_inputs=network.example_inputs()
        )


def _all_blocks(network: FractureNet, graph: Any, options: PruneOptions, floors: Floors) -> Iterator[Block]:
    names = {layer: name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    importance, kept = _importance(options.importance), _kept_layers(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that it passes over, such as the head
        for group in graph.get_all_groups(ignored_layers=kept, root_module_types=[nn.Conv2d]):
            name = names[group[0].dep.target.module]
            found = list(_blocks_of(group, name, importance, (options.round_to, floors[name])))
            yield from _evenly(found) if options.scope == LAYER_SCOPE else found


def _blocks_of(group: Any, name: str, importance: Any, sizes: tuple[int, int]) -> Iterator[Block]:
    """From the least important on. sizes: what is left is a multiple of one, at least the other."""
    (round_to, fewest), scores = sizes, importance(group)
    root, handler = group[0].dep.target.module, group[0].dep.handler
    if scores is None:
        raise StepError("a group of channels has no batch normalisation", 'set importance = "taylor"')
    order, taken = torch.argsort(scores, stable=True).tolist(), 0
    while True:
        count = (len(order) - taken) % round_to or round_to
        if len(order) - taken - count < fewest:
            return
        channels = order[taken : taken + count]
        yield Block(name, root, handler, channels, float(scores[channels].sum()))
        taken += count


def _evenly(blocks: list[Block]) -> list[Block]:
    """Ranked by the share of their own group that goes with them, so that every group loses alike."""
    going = sum(len(block.channels) for block in blocks)
    ranked, taken = [], 0
    for block in blocks:
        taken += len(block.channels)
        ranked.append(replace(block, importance=taken / going))
    return ranked


def _kept_layers(network: FractureNet) -> list[nn.Module]:
    """The classifier, and what reads a patient's facts: a handful of values that no channel stands for."""
    head = network.head
    facts = [head.modulation.hidden] if isinstance(head, FusedHead) else []
    return [cast(nn.Module, head.classifier), *facts]


def _importance(name: str) -> Any:
    known: dict[str, Callable[[], Any]] = {
        "taylor": lambda: importances.GroupTaylorImportance(group_reduction="sum", normalizer=None),
        "magnitude": lambda: importances.GroupMagnitudeImportance(group_reduction="first"),
        "group_norm": importances.GroupMagnitudeImportance,
        "bn_scale": importances.BNScaleImportance,
    }
    return known[name]()


def _accumulate_gradients(network: FractureNet, fit: LabelledTensors) -> None:
    """Gradients of the label loss over some fit images, for first-order (Taylor) importances."""
    network.eval()
    network.zero_grad(set_to_none=True)
    weight = positive_weight(fit.labels)
    for inputs, labels in batches(fit, _TAYLOR_IMAGES):
        label_loss(network(*inputs)[0], labels, weight).backward()  # type: ignore[no-untyped-call]
