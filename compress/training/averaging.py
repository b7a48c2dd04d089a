"""Averages of weights over the course of a training: flatter places in the loss than its last step.

Exponential moving average (Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging";
with the rising decay of the first steps that is usual since TensorFlow), or the plain mean of the last
epochs, stochastic weight averaging (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and
Better Generalization").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from compress.training.options import AverageOptions
from compress.zoo.base import FractureNet

_Normalisation = nn.modules.batchnorm._BatchNorm  # the common base, which torch gives no public name
_Tensors = list[Tensor] | tuple[Tensor, ...]


def ema_decay(decay: float, updates: int) -> float:
    """Share of the old average that is kept with the next update, after so many.

    It rises from 1/10 to `decay`, so that a short training is not dominated by where it began.
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """The network whose weights are judged and kept: an average, or the trained network itself."""

    def __init__(self, network: FractureNet, options: AverageOptions) -> None:
        self._network = network
        self._options = options
        self._average: AveragedModel | None = None
        if options.kind == "ema":
            self._average = AveragedModel(network, multi_avg_fn=self._move, use_buffers=True)
        elif options.kind == "swa":
            self._average = AveragedModel(network)

    @property
    def kind(self) -> str:
        """none | ema | swa."""
        return self._options.kind

    def after_step(self) -> None:
        """Take a step's weights, and its batch-norm statistics, into the moving average."""
        if self._average is not None and self.kind == "ema":
            self._average.update_parameters(self._network)

    def after_epoch(self, images: Iterable[Tensor]) -> None:
        """Take an epoch's weights into the mean, whose batch-norm statistics are then taken from `images`."""
        assert self._average is not None
        self._average.update_parameters(self._network)
        estimate_statistics(self._average.module, images, self._network)

    def judged(self) -> FractureNet:
        """The network that stands for the training so far."""
        if self._average is None or not int(self._average.n_averaged):
            return self._network
        return cast(FractureNet, self._average.module)

    def state(self) -> dict[str, Any]:
        """For the disk; empty without an average."""
        return {} if self._average is None else self._average.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        """As saved."""
        if self._average is not None:
            self._average.load_state_dict(state)

    def _move(self, averages: _Tensors, currents: _Tensors, updates: Tensor | int) -> None:
        """All tensors of one kind at once: a GPU would be asked for the count of updates once for each."""
        if not averages[0].is_floating_point():
            torch._foreach_copy_(averages, currents)
            return
        steps = torch._foreach_sub(currents, averages)
        torch._foreach_add_(averages, steps, alpha=1 - ema_decay(self._options.decay, int(updates)))


def estimate_statistics(network: nn.Module, images: Iterable[Tensor], like: nn.Module) -> None:
    """Batch-norm statistics of `network` anew: the mean over batches of `images`.

    Layers that are in evaluation mode in `like`, a network of the same layers, are frozen and keep theirs.
    """
    pairs = zip(network.modules(), like.modules(), strict=True)
    layers = [own for own, other in pairs if isinstance(own, _Normalisation) and other.training]
    network.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch then takes the plain mean over batches
        layer.train()
    with torch.no_grad():
        for batch in images:
            network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()
