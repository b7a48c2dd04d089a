"""Puts published weights into a network: by order or by name, three input channels summed for one.

On a gray image, whose three channels are equal, a filter summed over its channels is the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import StepError

_SHOWN = 3
_COUNTER = "num_batches_tracked"
"""Files from before torch 0.4.1 do not have it, and nothing depends on it."""


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
    adapted = {name: adapt(given[name], tensor) for name, tensor in own.items() if name in given}
    problems = [f"no {name}" for name in own if name not in given and not name.endswith(_COUNTER)]
    problems += [f"{name} is not in this network" for name in given if name not in own]
    problems += [
        f"{name}: expected {tuple(own[name].shape)}, got {tuple(given[name].shape)}"
        for name, tensor in adapted.items()
        if tensor.shape != own[name].shape
    ]
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise StepError(f"the weights do not fit: {'; '.join(problems[:_SHOWN])}{more}")
    network.load_state_dict({**network.state_dict(), **adapted})


def summed_for_gray(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The state of a network with three input channels, for the same `network` with one."""
    own = network.state_dict()
    return {name: adapt(tensor, own[name]) for name, tensor in state.items()}


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
        return given.sum(dim=1, keepdim=True)
    if own.ndim == given.ndim == 2 and given.shape[1] == 3 * own.shape[1]:  # of a flattened image
        return given.reshape(len(given), 3, -1).sum(dim=1)
    return given


def read_published(path: str, own_name: Callable[[str], str]) -> dict[str, Tensor]:
    """A state dict from a .pth, .pt or .safetensors file, by the names that the network gives its tensors.

    own_name: published name -> own, "" for what is left out. Raises StepError for a file that cannot be read
    as tensors and plain values.
    """
    state = _read(Path(path))
    renamed = {own_name(name): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in renamed.items() if name}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise whatever pickle, zip or the disk raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StepError(f"cannot read the weights {path}: {reason}", "check [model] weights") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise StepError(f"{path} holds no state dict", "save network.state_dict()")
    return state
