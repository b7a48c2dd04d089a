"""Structured pruning: whole channels go, with everything that depends on them.

Torch-Pruning's dependency graph (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning") says which
layers lose a channel together; depthwise convolutions and identities included. Which channels go is decided
here, greedily: of all groups the block of `round_to` channels that matters least, again and again until the
wanted share of MACs is gone. Batch-norm statistics are then measured anew on fit images (Li et al. 2020,
"EagleEye"), since those of the whole network no longer hold.

Importances: `taylor` is the first-order change of the loss, summed over all that a channel touches (Molchanov
et al. 2019, "Importance Estimation for Neural Network Pruning"); its unit is the same in every layer, so
layers compare. `group_magnitude` and `bn_scale` look at weights alone, each group against its own mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch_pruning
from torch import Tensor, nn
from torch_pruning.pruner import importance as importances

from compress.artifact import StepOutput
from compress.recipe import PruneOptions
from compress.training.data import LabelledTensors
from compress.training.loop import positive_weight, use_all_cores
from compress.training.losses import label_loss
from compress.zoo import NAMES, traits_of
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import Cost, cost_of
from compress.zoo.fused import FusedHead
from runtime.errors import RecipeError, StepError

NETWORK_FILE = "network.pt"
_KEEP_SHARE = 0.25  # of a group's channels, whatever their importance: a layer must not close
_BATCH = 32
_TAYLOR_IMAGES = 256
_STATISTICS_IMAGES = 512


def prune(source: Path, folder: Path, options: PruneOptions, fit: LabelledTensors) -> StepOutput:
    """Prune the checkpoint at `source` by `options.ratio` of its MACs; write `network.pt` into `folder`.

    facts: macs, parameters and channels before and after. Raises RecipeError for a network that cannot be
    pruned, StepError when that many MACs cannot be removed.
    """
    use_all_cores()
    network = load_network(source)
    require_prunable(network.options.name)
    before, channels_before = cost_of(network), _channels(network)
    prune_network(network, options, fit)
    estimate_statistics(network, fit)
    save_network(network, folder / NETWORK_FILE)
    return StepOutput(
        NETWORK_FILE, "torch", facts=_facts((before, channels_before), (cost_of(network), _channels(network)))
    )


def require_prunable(name: str) -> None:
    """Raises RecipeError for a network whose channels cannot go one by one."""
    if not traits_of(name).prunable:
        prunable = ", ".join(other for other in NAMES if traits_of(other).prunable)
        raise RecipeError(f"{name} cannot be pruned", f"set [prune] ratio = 0, or take one of {prunable}")


def prune_network(network: FractureNet, options: PruneOptions, fit: LabelledTensors) -> None:
    """Remove channels in place, in `options.iterations` rounds with importances measured anew for each."""
    whole = cost_of(network).macs
    for number in range(1, options.iterations + 1):
        if options.importance == "taylor":
            _accumulate_gradients(network, fit)
        _prune_round(network, options, whole * (1 - options.ratio * number / options.iterations))
        network.zero_grad(set_to_none=True)
        if number < options.iterations:
            estimate_statistics(network, fit)
    network.eval()


def estimate_statistics(network: FractureNet, fit: LabelledTensors) -> None:
    """Measure every batch-norm mean and variance on fit images, as a plain average over batches."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for a cumulative average
        layer.train()
    with torch.no_grad():
        for inputs, _ in _batches(fit, _STATISTICS_IMAGES):
            network(*inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


@dataclass(frozen=True, eq=False)
class _Block:
    """Channels that go together or stay: outputs of `root` as numbered before the round, what they matter."""

    root: nn.Conv2d
    handler: Any
    channels: list[int]
    importance: float


def _prune_round(network: FractureNet, options: PruneOptions, target_macs: float) -> None:
    """Remove blocks in the order of their importance, measured once, until few enough MACs are left."""
    graph = _dependency_graph(network)
    alive = {layer: list(range(layer.out_channels)) for layer in _convolutions(network)}
    positions = _positions(network)
    macs = _macs(positions)
    for block in sorted(_blocks(network, graph, options), key=lambda block: block.importance):
        if macs <= target_macs:
            return
        left = alive[block.root]
        graph.get_pruning_group(block.root, block.handler, [left.index(c) for c in block.channels]).prune()
        alive[block.root] = [channel for channel in left if channel not in block.channels]
        macs = _macs(positions)
    if macs > target_macs:
        raise StepError(
            f"cannot remove more than this: {macs} MACs are left, wanted {target_macs:.0f}",
            "lower [prune] ratio or round_to",
        )


def _blocks(network: FractureNet, graph: Any, options: PruneOptions) -> list[_Block]:
    importance = _importance(options.importance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that it passes over, such as the head
        groups = graph.get_all_groups(ignored_layers=_kept_layers(network), root_module_types=[nn.Conv2d])
        return [block for group in groups for block in _blocks_of(group, importance, options.round_to)]


def _kept_layers(network: FractureNet) -> list[nn.Module]:
    """The classifier, and what reads a patient's facts: a handful of values that no channel stands for."""
    head = network.head
    facts = [head.modulation.hidden] if isinstance(head, FusedHead) else []
    return [cast(nn.Module, head.classifier), *facts]


def _blocks_of(group: Any, importance: Any, round_to: int) -> Iterator[_Block]:
    """The group's channels from the least important on; a multiple of `round_to` is left after each block."""
    root, handler, scores = group[0].dep.target.module, group[0].dep.handler, importance(group)
    if scores is None:
        raise StepError("a group of channels has no batch normalisation", 'set importance = "taylor"')
    order, taken = torch.argsort(scores, stable=True).tolist(), 0
    while True:
        count = (len(order) - taken) % round_to or round_to
        if len(order) - taken - count < _floor(len(order), round_to):
            return
        channels = order[taken : taken + count]
        yield _Block(root, handler, channels, float(scores[channels].sum()))
        taken += count


def _positions(network: FractureNet) -> dict[nn.Conv2d, int]:
    """Output positions of each convolution, which pruning does not change."""
    layers, macs = dict(network.named_modules()), cost_of(network).layer_macs
    return {cast(nn.Conv2d, layers[name]): count // _weights(layers[name]) for name, count in macs.items()}


def _macs(positions: dict[nn.Conv2d, int]) -> int:
    """Every weight is used once a position."""
    return sum(count * _weights(layer) for layer, count in positions.items())


def _weights(layer: nn.Module) -> int:
    return cast(nn.Conv2d, layer).weight.numel()


def _importance(name: str) -> Any:
    if name == "taylor":
        return importances.GroupTaylorImportance(group_reduction="sum", normalizer=None)
    if name == "bn_scale":
        return importances.BNScaleImportance()
    return importances.GroupMagnitudeImportance()


def _dependency_graph(network: FractureNet) -> Any:
    # Tracing follows autograd, so gradients must be on.
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch_pruning.DependencyGraph().build_dependency(
            network, example_inputs=network.example_inputs()
        )


def _accumulate_gradients(network: FractureNet, fit: LabelledTensors) -> None:
    """Gradients of the label loss over some fit images, for first-order (Taylor) importances."""
    network.eval()
    network.zero_grad(set_to_none=True)
    weight = positive_weight(fit.labels)
    for inputs, labels in _batches(fit, _TAYLOR_IMAGES):
        label_loss(network(*inputs)[0], labels, weight).backward()  # type: ignore[no-untyped-call]


def _batches(fit: LabelledTensors, limit: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """(Inputs, labels) of images spread evenly over the fit set, whose order may follow the patients."""
    rows = np.unique(np.linspace(0, len(fit) - 1, min(limit, len(fit))).round().astype(int))
    mixed = rows[np.random.default_rng(0).permutation(len(rows))]
    for start in range(0, len(mixed), _BATCH):
        chosen = np.sort(mixed[start : start + _BATCH])
        yield fit.inputs(chosen), torch.from_numpy(fit.labels[chosen])


def _floor(channels: int, round_to: int) -> int:
    return max(round_to, round(channels * _KEEP_SHARE))


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def _channels(network: FractureNet) -> dict[str, int]:
    named = network.named_modules()
    return {name: layer.out_channels for name, layer in named if isinstance(layer, nn.Conv2d)}


def _facts(before: tuple[Cost, dict[str, int]], after: tuple[Cost, dict[str, int]]) -> dict[str, Any]:
    return {
        "macs_before": before[0].macs,
        "macs": after[0].macs,
        "parameters_before": before[0].parameters,
        "parameters": after[0].parameters,
        "channels": {name: [count, after[1][name]] for name, count in before[1].items()},
    }
