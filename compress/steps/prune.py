"""Structured pruning as a step: whole channels go, with everything that depends on them.

Which channels belong together and what they matter: compress.pruning.blocks. How many go:
compress.pruning.cut, or compress.pruning.speed where a measured time is the target. What single groups can
spare: compress.pruning.sensitivity. Zeros that tensor cores skip: compress.pruning.two_four.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import StepOutput
from compress.datasets.progress import Progress, silent
from compress.options.prune import PruneOptions
from compress.pruning.blocks import channels_of
from compress.pruning.cut import channel_changes, prune_network
from compress.pruning.sensitivity import examine_groups, kept_shares
from compress.pruning.speed import Timer, prune_to_time
from compress.pruning.statistics import estimate_statistics
from compress.pruning.two_four import sparsify
from compress.training.data import LabelledTensors
from compress.training.loop import use_all_cores
from compress.zoo import NAMES, traits_of
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from runtime.errors import RecipeError

NETWORK_FILE = "network.pt"


@dataclass(frozen=True, eq=False)
class PruneData:
    """fit: for importances and statistics. unseen: for the loss of single groups, with a tolerance."""

    fit: LabelledTensors
    unseen: LabelledTensors


def prune(
    source: Path,
    folder: Path,
    options: PruneOptions,
    data: PruneData,
    progress: Progress = silent,
    timer: Timer | None = None,
) -> StepOutput:
    """Prune the checkpoint at `source` as `options` say; write `network.pt` into `folder`.

    facts: macs, parameters and channels before and after; sensitivity of every group where a tolerance is
    set; what was timed where a time is the target; the layers that are 2:4 sparse. timer: see
    compress.pruning.speed. Raises RecipeError for a network that cannot be pruned, StepError when so much
    cannot be removed.
    """
    use_all_cores()
    network = load_network(source)
    require_prunable(network.options.name)
    spared = examine_groups(network, options, (data.fit, data.unseen), progress) if options.tolerance else ()
    facts: dict[str, Any] = {"sensitivity": [item.to_json() for item in spared]} if spared else {}
    smaller, timed = _smaller(load_network(source), options, data.fit, kept_shares(spared), timer)
    if options.sparsity:
        facts["sparse_layers"] = list(sparsify(smaller))
    estimate_statistics(smaller, data.fit)
    save_network(smaller, folder / NETWORK_FILE)
    return StepOutput(NETWORK_FILE, "torch", facts={**_facts(network, smaller), **facts, **timed})


def require_prunable(name: str) -> None:
    """Raises RecipeError for a network whose channels cannot go one by one."""
    if not traits_of(name).prunable:
        prunable = ", ".join(other for other in NAMES if traits_of(other).prunable)
        raise RecipeError(f"{name} cannot be pruned", f"set [prune] ratio = 0, or take one of {prunable}")


def _smaller(
    network: FractureNet,
    options: PruneOptions,
    fit: LabelledTensors,
    kept: dict[str, float],
    timer: Timer | None,
) -> tuple[FractureNet, dict[str, Any]]:
    """The pruned network, and what was timed for it."""
    if not options.ratio:
        return network, {}
    if options.target != "latency":
        prune_network(network, options, fit, kept)
        return network, {}
    found = prune_to_time(network, options, fit, kept, timer)
    return found.network, {"timed": [item.to_json() for item in found.tried], "timed_in": options.engine}


def _facts(whole: FractureNet, smaller: FractureNet) -> dict[str, Any]:
    before, after = cost_of(whole), cost_of(smaller)
    return {
        "macs_before": before.macs,
        "macs": after.macs,
        "parameters_before": before.parameters,
        "parameters": after.parameters,
        "channels": channel_changes(channels_of(whole), smaller),
    }
