"""Networks on disk: weights and the options to build them from, nothing that could run code.

A pruned network has fewer channels than its options say; the shapes of the saved tensors tell how many. An
ensemble's file holds all its members: their options, and their weights under one state.
"""

from __future__ import annotations

import io
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compress.zoo import build
from compress.zoo.base import FractureNet
from compress.zoo.ensemble import Ensemble
from compress.zoo.fused import fuse
from compress.zoo.options import ModelOptions
from runtime import strict
from runtime.errors import StepError, UlnaError
from runtime.metadata import MetadataSpec

_SCHEMA = 1


def save_network(network: FractureNet, path: Path) -> None:
    """Write atomically: a reader sees the old file or the whole new one."""
    write_atomically(path, {"schema": _SCHEMA, **describe(network), "state": network.state_dict()})


def describe(network: FractureNet) -> dict[str, Any]:
    """What is needed besides the weights to build the network again; JSON-safe."""
    table: dict[str, Any] = {"options": asdict(network.options), "size_px": network.size_px}
    if network.members:
        table["members"] = [asdict(member.options) for member in network.members]
    facts = [_describe_facts(one) for one in network.members or (network,)]
    if any(facts):
        table["metadata"] = facts
    return table


def _describe_facts(network: FractureNet) -> dict[str, Any]:
    """{} for a network that looks at the picture alone."""
    spec = network.metadata
    return {} if spec is None else {name: _plain(value) for name, value in asdict(spec).items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def load_network(path: Path) -> FractureNet:
    """The network as saved, pruned or not, in evaluation mode. Raises StepError for anything else."""
    table = read_safely(path)
    try:
        return restore(table, table["state"])
    except (KeyError, TypeError, ValueError, RuntimeError, UlnaError) as error:
        reason = _first_line(error)
        raise StepError(
            f"{path.name} holds no network of this version: {reason}", "train it again"
        ) from error


def restore(table: dict[str, Any], state: dict[str, Tensor]) -> FractureNet:
    """The network that `describe` described, with these weights, pruned or not, in evaluation mode.

    Raises what torch and Python raise for a description or weights that are of no network.
    """
    network = unfilled(table)
    _shrink_to(network, state)
    network.load_state_dict(state)
    return network.eval()


def unfilled(table: dict[str, Any]) -> FractureNet:
    """The same with random weights, and with all the channels that its options say."""
    members = table.get("members", ())
    whole = members or (table["options"],)
    facts = table.get("metadata") or [{}] * len(whole)
    built = [_built(one, table["size_px"], own) for one, own in zip(whole, facts, strict=True)]
    return Ensemble(built, ModelOptions(**table["options"])) if members else built[0]


def _built(table: dict[str, Any], size_px: int, facts: dict[str, Any]) -> FractureNet:
    """The saved weights are the weights: nothing pretrained is fetched to be overwritten."""
    options = ModelOptions(**table)
    network = build(replace(options, weights=""), size_px)
    network.options = options
    return fuse(network, strict.build(MetadataSpec, facts, "metadata")) if facts else network


def write_atomically(path: Path, table: dict[str, Any]) -> None:
    """torch.save through memory (equal content gives equal bytes), fsync, rename."""
    buffer = io.BytesIO()
    torch.save(table, buffer)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_safely(path: Path) -> dict[str, Any]:
    """Tensors and plain values only (`weights_only`). Raises StepError for a damaged or foreign file."""
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever pickle, zip or the disk raise
        raise StepError(
            f"cannot read checkpoint {path}: {_first_line(error)}", "delete it and run the step again"
        ) from error
    if not isinstance(table, dict) or table.get("schema") != _SCHEMA:
        raise StepError(f"{path} is no checkpoint of this version", "train it again")
    return table


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _shrink_to(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give convolutions and normalisations the channel counts of the saved tensors."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            _shrink_convolution(layer, state[f"{name}.weight"].shape)
        elif isinstance(layer, nn.BatchNorm2d):
            _shrink_normalisation(layer, state[f"{name}.weight"].shape[0])


def _shrink_convolution(layer: nn.Conv2d, shape: torch.Size) -> None:
    is_depthwise = layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1
    layer.out_channels = int(shape[0])
    layer.in_channels = int(shape[0] if is_depthwise else shape[1])
    layer.groups = layer.in_channels if is_depthwise else layer.groups
    layer.weight = nn.Parameter(torch.empty(shape))
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.empty(layer.out_channels))


def _shrink_normalisation(layer: nn.BatchNorm2d, channels: int) -> None:
    layer.num_features = channels
    layer.weight = nn.Parameter(torch.empty(channels))
    layer.bias = nn.Parameter(torch.empty(channels))
    layer.running_mean = torch.zeros(channels)
    layer.running_var = torch.ones(channels)
