"""A third output: intermediate features, pooled, by which strange pictures are told from familiar ones.

Two of a network's stages are looked at, at three and at four fifths of its depth. Earlier ones answer to
exposure and grain more than to what the picture shows; the last ones have learned to ignore what does not
matter for fractures, and a photograph may look like a bone to them. Of an ensemble the first member is looked
into; of a network that looks at mirror images too, the mean is taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compress.zoo.base import FractureNet

_DEPTHS = (0.6, 0.8)


class WatchedNet(nn.Module):
    """image (N, 1, S, S) -> (logit (N, 1), map (N, 1, h, w), features (N, F)); shares `network`'s weights."""

    def __init__(self, network: FractureNet) -> None:
        super().__init__()
        self.network = network
        self._tap = FeatureTap(network)
        looked_into = _looked_into(network)
        self._looks = 2 ** sum(one.options.mirror for one in {network, looked_into})

    def forward(self, image: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What the network says, and what it saw on the way, which no facts of the patient have touched."""
        logit, evidence = self.network(image, metadata)
        features = self._tap.take()
        if self._looks > 1:  # all the images, then all of their mirror images
            features = torch.unflatten(features, 0, (self._looks, -1)).mean(dim=0)
        return logit, evidence, features


class FeatureTap:
    """Takes the features of `network`'s forward passes as it makes them; its answers stay what they are."""

    def __init__(self, network: FractureNet) -> None:
        self._seen: list[Tensor] = []
        looked_into = _looked_into(network)
        watched = [looked_into.get_submodule(name) for name in watched_layers(looked_into)]
        self._hooks = [
            network.register_forward_pre_hook(lambda _, __: self._seen.clear()),
            *(layer.register_forward_hook(self._keep) for layer in watched),
        ]

    def take(self) -> Tensor:
        """(N, F) of the last pass, once; where mirror images were looked at, theirs behind: (2N, F)."""
        features = torch.cat([_pooled(layer) for layer in self._seen], dim=1)
        self._seen.clear()
        return features

    def close(self) -> None:
        """Look no longer."""
        for hook in self._hooks:
            hook.remove()

    def _keep(self, _: nn.Module, __: Any, output: Tensor) -> None:
        self._seen.append(output)


def _looked_into(network: FractureNet) -> FractureNet:
    return network.members[0] if network.members else network


def watched_layers(network: FractureNet) -> tuple[str, ...]:
    """Names of the modules whose outputs are looked at, each once, in the order of the stages."""
    names = {module: name for name, module in network.named_modules()}
    stages = [_last_called(stage, names) for stage in network.stages()[:-1]]
    called = _called(network, [names[stage] for stage in stages if stage in names])
    return tuple(dict.fromkeys(called[int(depth * len(called))] for depth in _DEPTHS))


def _last_called(stage: nn.Module, names: dict[nn.Module, str]) -> nn.Module:
    """The stage itself where it is a layer of the network; else the last layer that was put into it."""
    return stage if stage in names else list(stage.children())[-1]


def _called(network: FractureNet, names: list[str]) -> list[str]:
    """Those that a forward pass calls and that answer with one tensor; a list of layers is not called."""
    found: list[str] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim in (2, 3, 4):
            found.append(name)

    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name in names
    ]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 1, network.size_px, network.size_px))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _pooled(features: Tensor) -> Tensor:
    """Maps (N, C, h, w), tokens (N, T, C) or vectors (N, C) -> (N, C)."""
    if features.ndim == 4:
        return features.mean(dim=(2, 3))
    return features.mean(dim=1) if features.ndim == 3 else features
