"""A network that computes as its INT8 will: weights and inputs of its layers are rounded, gradients are not.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"; the gradient passes the rounding as if it were not there (Bengio, Leonard & Courville 2013,
"Estimating or Propagating Gradients Through Stochastic Neurons", straight-through), and not where a value is
cut off. The rounding is torch's FakeQuantize.

Weights have one scale an output channel and no zero point, so what normalisation does to a channel afterwards
changes nothing: rounded before or after it is folded in, they are the same. Normalisation keeps its
statistics, as the deployed network does (Krishnamoorthi 2018, "Quantizing deep convolutional networks for
efficient inference: A whitepaper", freezes them likewise).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.quantization import (
    FakeQuantize,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
)
from torch.nn.utils import parametrize

from compress.zoo.base import FractureNet

_ROUNDED = (nn.Conv2d, nn.Linear)
_Normalisation = nn.modules.batchnorm._BatchNorm  # the common base, which torch gives no public name
_INPUT = "rounding_of_input"


@dataclass(frozen=True)
class Grid:
    """What a target's quantizer rounds to.

    symmetric: activations are signed about zero; else unsigned, with a zero point. weight_bits: 8, or 7 where
    the engine would saturate.
    """

    symmetric: bool
    weight_bits: int = 8


def rounded_layers(network: FractureNet) -> dict[str, nn.Module]:
    """By name: convolutions and linear layers before the head, which every recipe leaves in float."""
    heads = [network.head, *(member.head for member in network.members)]
    kept = {id(layer) for head in heads for layer in head.modules()}
    layers = dict(network.named_modules())
    return {
        name: layer for name, layer in layers.items() if isinstance(layer, _ROUNDED) and id(layer) not in kept
    }


@contextmanager
def simulated(network: FractureNet, grid: Grid) -> Iterator[tuple[str, ...]]:
    """Inside, `network` computes as if it were quantized; gives the names of the layers that are.

    Ranges of activations are learned in training mode alone, so that patients who are only asked teach
    nothing. Its state holds the ranges, inside alone. However the block ends, the network is a float one
    again, with the weights that it has learned.
    """
    layers = rounded_layers(network)
    hooks: list[Any] = []
    try:
        for layer in layers.values():
            hooks.append(_simulate(layer, grid))
        for layer in network.modules():
            if isinstance(layer, _Normalisation):
                hooks.append(layer.register_forward_pre_hook(_keep_statistics))
        yield tuple(layers)
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers.values():
            _restore(layer)


def _simulate(layer: nn.Module, grid: Grid) -> Any:
    rounding = _input_rounding(grid)
    layer.add_module(_INPUT, rounding)
    parametrize.register_parametrization(layer, "weight", _weight_rounding(grid))
    return layer.register_forward_pre_hook(partial(_round_input, rounding))


def _restore(layer: nn.Module) -> None:
    if parametrize.is_parametrized(layer, "weight"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    if hasattr(layer, _INPUT):
        delattr(layer, _INPUT)


def _input_rounding(grid: Grid) -> FakeQuantize:
    if grid.symmetric:
        ends, dtype, scheme = (-127, 127), torch.qint8, torch.per_tensor_symmetric
    else:
        ends, dtype, scheme = (0, 255), torch.quint8, torch.per_tensor_affine
    observer = MovingAverageMinMaxObserver
    return FakeQuantize(observer, *ends, dtype=dtype, qscheme=scheme)  # type: ignore[no-untyped-call]


def _weight_rounding(grid: Grid) -> FakeQuantize:
    most = 2 ** (grid.weight_bits - 1) - 1
    return FakeQuantize(  # type: ignore[no-untyped-call]
        MovingAveragePerChannelMinMaxObserver,
        -most,
        most,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        averaging_constant=1.0,  # the range of the weights as they are now
    )


def _round_input(rounding: FakeQuantize, layer: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    rounding.enable_observer(layer.training)
    return (rounding(given[0]), *given[1:])


def _keep_statistics(layer: nn.Module, _: tuple[Tensor, ...]) -> None:
    layer.eval()
