"""A small residual network that trains in minutes on two CPU cores and quantizes well.

Plain 3x3 convolutions, batch normalisation and ReLU only: every engine has fast INT8 kernels for them and no
activation has a long tail. It stops at stride 8, since a fracture line is a few pixels wide.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from compress.recipe import ModelOptions
from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from runtime.errors import RecipeError

_STAGES = ((16, 2, 1), (32, 2, 2), (64, 2, 3))
"""(channels at width 1, stride, residual blocks)."""
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build. Raises RecipeError for pretrained weights, of which there are none."""
    if options.weights:
        raise RecipeError(f"cnn has no weights {options.weights!r}", 'use weights = ""')
    layers: list[nn.Module] = []
    channels = 1
    for base, stride, blocks in _STAGES:
        wider = channels_of(base * options.width)
        layers.append(_conv(channels, wider, stride))
        layers += [ResidualBlock(wider) for _ in range(blocks)]
        channels = wider
    features = nn.Sequential(*layers)
    initialise(features)
    return FractureNet(features, EvidenceHead(channels, _SHARPNESS), options, size_px)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity; the second starts at zero, so the block starts as one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels, 1)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.activation = nn.ReLU(inplace=True)
        nn.init.zeros_(cast(nn.BatchNorm2d, self.second[1]).weight)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        summed: Tensor = self.second(self.first(features)) + features
        return cast(Tensor, self.activation(summed))


def _conv(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )
