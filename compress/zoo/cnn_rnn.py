"""Convolutions for what is near, a recurrent scan for what is far: cnn.py's features, then one ReNet layer.

Visin et al. 2016, "ReSeg: A Recurrent Neural Network-based Model for Semantic Segmentation", puts the two
together so; the scan is that of sweep.py. The evidence map is the class-activation map of base.py over the
scan's states and the features themselves, at stride 8: the features keep it in its place.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo import cnn
from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.options import ModelOptions
from compress.zoo.sweep import renet_layer
from compress.zoo.traits import Traits

TRAITS = Traits()

_HIDDEN = 32
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    layers, channels = cnn.body(options)
    hidden = channels_of(_HIDDEN * options.width)
    context = Context(channels, hidden)
    head = EvidenceHead(channels + 2 * hidden, _SHARPNESS)
    return FractureNet(nn.Sequential(*layers, context), head, options, size_px)


class Context(nn.Module):
    """The features, and beside them what a scan of the whole image makes of them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.scan = nn.Sequential(*renet_layer(channels, hidden))
        initialise(self.scan)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C + 2 * hidden, h, w)."""
        return torch.cat([features, cast(Tensor, self.scan(features))], dim=1)
