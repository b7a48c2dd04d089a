"""Puts published weights into a network: by order or by name, three input channels summed for one.

On a gray image, whose three channels are equal, a filter summed over its channels is the same function.
"""

from __future__ import annotations

from torch import Tensor, nn

from runtime.errors import StepError

_SHOWN = 3


def load_by_order(network: nn.Module, published: dict[str, Tensor], spare: int = 0) -> None:
    """Fill `network` with the published tensors in their order; names differ, the layers do not.

    spare: how many tensors may be left over at the end, such as those of a classifier. Raises StepError.
    """
    own = learned_state(network)
    if len(published) - len(own) not in (0, spare):
        more = f" or {spare} more" if spare else ""
        raise StepError(f"the weights hold {len(published)} tensors, expected {len(own)}{more}")
    fill(network, dict(zip(own, published.values(), strict=False)))


def fill(network: nn.Module, given: dict[str, Tensor]) -> None:
    """Give every learned tensor of `network` the one of its name. Raises StepError with what does not fit."""
    own = learned_state(network)
    missing = [f"no {name}" for name in own if name not in given]
    adapted = {name: adapt(given[name], tensor) for name, tensor in own.items() if name in given}
    wrong = [
        f"{name}: expected {tuple(own[name].shape)}, got {tuple(given[name].shape)}"
        for name, tensor in adapted.items()
        if tensor.shape != own[name].shape
    ]
    problems = missing + wrong
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise StepError(f"the weights do not fit: {'; '.join(problems[:_SHOWN])}{more}")
    network.load_state_dict({**network.state_dict(), **adapted})


def learned_state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, without what a layer notes about itself."""
    return {
        name: tensor for name, tensor in network.state_dict().items() if not name.endswith("_extra_state")
    }


def adapt(given: Tensor, own: Tensor) -> Tensor:
    """A linear classifier as a 1x1 convolution; three input channels summed where `own` has one."""
    if own.ndim == 4 and given.ndim == 2:
        given = given[:, :, None, None]
    if own.ndim == given.ndim == 4 and own.shape[1] == 1 and given.shape[1] == 3:
        given = given.sum(dim=1, keepdim=True)
    return given
