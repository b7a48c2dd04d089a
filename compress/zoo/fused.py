"""Any network of the zoo with facts of the patient as a second input, which modulate what the head reads.

Perez et al. 2018, "FiLM: Visual Reasoning with a General Conditioning Layer": every channel of the features
is scaled and shifted by what two small layers make of the facts. Map and logit both come from the modulated
features, so they stay one answer. The layers have no constant part: told nothing, a vector of zeros, they
leave the features as they are to the last bit, and the network is the one that looks at the picture alone.
They begin at zero, so that a network which is given facts begins as it was without them.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, Head
from runtime.errors import RecipeError, StepError
from runtime.metadata import MetadataSpec

HIDDEN = 16
"""Values between the facts and the modulation: a few dozen words need no more, and few cannot memorise."""


class Modulation(nn.Module):
    """features (N, C, h, w), facts (N, D) -> the features, each channel scaled and shifted."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(width, HIDDEN, 1, bias=False)
        self.scale, self.shift = (nn.Conv2d(HIDDEN, channels, 1, bias=False) for _ in range(2))
        nn.init.normal_(self.hidden.weight, std=math.sqrt(2 / width))
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, features: Tensor, metadata: Tensor) -> Tensor:
        """The same shape."""
        context = torch.relu(self.hidden(metadata[:, :, None, None]))
        modulated: Tensor = features * (1 + self.scale(context)) + self.shift(context)
        return modulated


class FusedHead(Head):
    """A head that reads features as facts modulate them."""

    def __init__(self, own: EvidenceHead, width: int) -> None:
        super().__init__()
        self.own = own
        self.modulation = Modulation(width, own.classifier.in_channels)

    @property
    def classifier(self) -> nn.Conv2d:
        """Of the head within."""
        return self.own.classifier

    def rescale(self, scale: float, shift: float) -> None:
        """See Head.rescale."""
        self.own.rescale(scale, shift)

    def forward(self, features: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits and the map they were pooled from; metadata (N, D), None where nothing is known."""
        told = features if metadata is None else self.modulation(features, metadata)
        return cast("tuple[Tensor, Tensor]", self.own(told))


class FusedNet(FractureNet):
    """image (N, 1, S, S), metadata (N, D) or None -> (logit (N, 1), map (N, 1, h, w))."""

    def __init__(self, plain: FractureNet, spec: MetadataSpec) -> None:
        if not isinstance(plain.head, EvidenceHead):
            raise RecipeError(
                f"{plain.options.name} has no features of its own that facts could modulate",
                "leave [metadata] fields empty; an ensemble takes the facts that its members take",
            )
        super().__init__(plain.features, FusedHead(plain.head, spec.width), plain.options, plain.size_px)
        self.multiple_px = plain.multiple_px
        self.spec = spec

    @property
    def metadata(self) -> MetadataSpec:
        """The facts that it takes."""
        return self.spec

    def look(self, image: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See FractureNet.look."""
        logit, evidence = self.head(self.features(self.as_taken(image)), metadata)
        return logit, evidence


def with_facts(network: FractureNet, spec: MetadataSpec | None) -> FractureNet:
    """The network where it takes these facts already; fused with them where it looks at the picture alone.

    Raises StepError for one that takes other facts.
    """
    if network.metadata == spec:
        return network
    if network.metadata is not None or spec is None:
        raise StepError(
            f"the network takes {in_words(network.metadata)}, recipe and data give {in_words(spec)}",
            "make [metadata] of the recipe, and the data, those that the network was trained with",
        )
    return fuse(network, spec)


def in_words(spec: MetadataSpec | None) -> str:
    """The facts that a network takes, with the words it knows."""
    if spec is None:
        return "no facts of the patient"
    words = {name: spec.words(name) for name in spec.fields}
    return ", ".join(f"{name} ({'/'.join(known)})" if known else name for name, known in words.items())


def fuse(plain: FractureNet, spec: MetadataSpec) -> FusedNet:
    """The network with a second input, sharing its weights; its mode of training or evaluation stays.

    Raises RecipeError for one without an evidence head of its own, as an ensemble.
    """
    fused = FusedNet(plain, spec)
    return fused.train(plain.training)
