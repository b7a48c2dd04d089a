"""The optimiser, with parameter groups that know how fast each may learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from compress.training.options import TrainOptions
from compress.zoo.base import FractureNet


def build_optimizer(network: FractureNet, options: TrainOptions) -> Optimizer:
    """AdamW, or SGD with Nesterov's momentum.

    Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization"; Sutskever et al. 2013, "On the
    importance of initialization and momentum in deep learning". All parameters are in it, frozen ones too:
    without a gradient they are passed over.
    """
    chosen, groups = options.optimizer, parameter_groups(network, options)
    if chosen.kind == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=chosen.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(chosen.momentum, 0.999))


def parameter_groups(network: FractureNet, options: TrainOptions) -> list[dict[str, Any]]:
    """Filters decay; biases and normalisation do not, where decay only shifts the scale.

    Each group has a `rate_scale`: 1 at the head, times layer_decay for each stage towards the input (Howard &
    Ruder 2018, "Universal Language Model Fine-tuning for Text Classification").
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for scale, stage in _scaled_stages(network, options.transfer.layer_decay):
        for parameter in stage.parameters():
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": members, "weight_decay": options.weight_decay if decays else 0.0, "rate_scale": scale}
        for (scale, decays), members in groups.items()
    ]


def steer(optimizer: Optimizer, rate: float, momentum: float | None) -> None:
    """Set what the schedule says for the next step; momentum None leaves it as it is."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_scale"]
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def learning_rates(optimizer: Optimizer) -> tuple[float, ...]:
    """Of each group, without repetitions, from the head to the input."""
    return tuple(sorted({float(group["lr"]) for group in optimizer.param_groups}, reverse=True))


def _scaled_stages(network: FractureNet, decay: float) -> Iterator[tuple[float, nn.Module]]:
    stages = network.stages()
    for number, stage in enumerate(stages):
        yield decay ** (len(stages) - 1 - number), stage
