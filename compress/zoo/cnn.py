"""A small residual network that trains in minutes on two CPU cores and quantizes well.

Plain convolutions, batch normalisation and ReLU only: every engine has fast INT8 kernels for them and no
activation has a long tail. It stops at stride 8, since a fracture line is a few pixels wide. The first
filters start as Gabor functions, which answer to lines and edges and not to brightness: a network from
nothing then learns in a few hundred steps what otherwise takes thousands (compare Luan et al. 2018, "Gabor
Convolutional Networks").
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

TRAITS = Traits(prunable=True, least_px=8)

_STEM_CHANNELS = 16
_STEM_KERNEL = 7
_STAGES = ((32, 1), (64, 2))
"""(channels at width 1, residual blocks); each begins with a stride of 2, as the stem does."""
_GABOR_WAVELENGTHS_PX = (3.5, 5.0)
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    channels = channels_of(_STEM_CHANNELS * options.width)
    stem = _conv(1, channels, 2, _STEM_KERNEL)
    layers: list[nn.Module] = [stem]
    for base, blocks in _STAGES:
        wider = channels_of(base * options.width)
        layers.append(_conv(channels, wider, 2))
        layers += [ResidualBlock(wider) for _ in range(blocks)]
        channels = wider
    features = nn.Sequential(*layers)
    initialise(features)
    with torch.no_grad():
        cast(nn.Conv2d, stem[0]).weight.copy_(gabor_filters(channels_of(_STEM_CHANNELS * options.width)))
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


def gabor_filters(count: int, size: int = _STEM_KERNEL) -> Tensor:
    """(count, 1, size, size) filters of mean 0 and norm sqrt(2): pairs of a line and an edge detector.

    The directions go once through half a turn, the wavelengths change from pair to pair.
    """
    pairs = max(1, count // 2)
    filters = [
        _gabor(math.pi * (number // 2) / pairs, _wavelength(number // 2), math.pi / 2 * (number % 2), size)
        for number in range(count)
    ]
    return torch.stack(filters)[:, None]


def _wavelength(pair: int) -> float:
    return _GABOR_WAVELENGTHS_PX[pair % len(_GABOR_WAVELENGTHS_PX)]


def _gabor(angle: float, wavelength_px: float, phase: float, size: int) -> Tensor:
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    across = x * math.cos(angle) + y * math.sin(angle)
    along = y * math.cos(angle) - x * math.sin(angle)
    envelope = torch.exp(-(across**2 + along**2 / 2) / (2 * (size / 4.5) ** 2))
    wave = envelope * torch.cos(2 * math.pi * across / wavelength_px + phase)
    centred = wave - wave.mean()
    scaled: Tensor = centred / centred.norm() * math.sqrt(2)
    return scaled


def _conv(inside: int, outside: int, stride: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )
