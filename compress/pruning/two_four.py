"""2:4 sparsity: of every four neighbouring input channels of a filter two are zero, which tensor cores skip.

Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks": the two largest of four stay, then training
goes on with the zeros held. Only NVIDIA's sparse tensor cores (compute capability 8.0 and later) are faster
by it; every other engine computes with the zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compress.zoo.base import FractureNet

_GROUP, _ZEROS = 4, 2


def sparsify(network: FractureNet) -> tuple[str, ...]:
    """Set weights to zero in place; the names of the layers that are sparse now, in the network's order.

    Convolutions whose channels are no multiple of four, depthwise ones and the classifier stay as they are.
    """
    layers = dict(_eligible(network))
    with torch.no_grad():
        for layer in layers.values():
            layer.weight.mul_(_largest_two(layer.weight))
    return tuple(layers)


def is_two_four(weight: Tensor) -> bool:
    """Whether (O, I, h, w) holds at least two zeros in every four neighbouring inputs."""
    if weight.ndim != 4 or weight.shape[1] % _GROUP:
        return False
    groups = _by_inputs(weight)
    return bool(((groups == 0).sum(dim=-1) >= _ZEROS).all())


@contextmanager
def zeros_held(network: FractureNet) -> Iterator[None]:
    """Inside, gradients do not reach zeros of sparse layers; nothing else moves a weight of zero.

    Neither weight decay nor an optimiser's moments do: both are multiples of what has been zero so far.
    """
    sparse = [layer.weight for _, layer in _eligible(network) if is_two_four(layer.weight.detach())]
    masks = [(weight, (weight.detach() != 0).to(weight.dtype)) for weight in sparse]
    hooks = [_hold(weight, mask) for weight, mask in masks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hold(weight: Tensor, mask: Tensor) -> Any:
    return weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * mask.to(gradient.device)
    )


def _eligible(network: FractureNet) -> Iterator[tuple[str, nn.Conv2d]]:
    head = {id(layer) for layer in network.head.modules()}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and id(layer) not in head and layer.weight.shape[1] % _GROUP == 0:
            yield name, layer


def _largest_two(weight: Tensor) -> Tensor:
    groups = _by_inputs(weight.abs())
    mask = torch.zeros_like(groups).scatter_(-1, groups.topk(_GROUP - _ZEROS, dim=-1).indices, 1.0)
    return mask.reshape(weight.shape[0], *weight.shape[2:], -1).movedim(-1, 1)


def _by_inputs(weight: Tensor) -> Tensor:
    """(O, I, h, w) -> (O, h, w, I / 4, 4)."""
    outputs, inputs, height, width = weight.shape
    return weight.movedim(1, -1).reshape(outputs, height, width, inputs // _GROUP, _GROUP)
