"""A small residual network that trains in minutes on two CPU cores and quantizes well.

Plain convolutions, batch normalisation and ReLU only: every engine has fast INT8 kernels for them and no
activation has a long tail. It stops at stride 8, since a fracture line is a few pixels wide. The first
filters start as Gabor functions, which answer to lines and edges and not to brightness: a network from
nothing then learns in a few hundred steps what otherwise takes thousands (compare Luan et al. 2018, "Gabor
Convolutional Networks"). The evidence map is the class-activation map of base.py at stride 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.layers import ResidualBlock, conv_norm_relu
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
    layers, channels = body(options)
    return FractureNet(nn.Sequential(*layers), EvidenceHead(channels, _SHARPNESS), options, size_px)


def body(
    options: ModelOptions, block: Callable[[int], nn.Module] = ResidualBlock
) -> tuple[list[nn.Module], int]:
    """The layers from the image to stride 8, initialised, and the channels that come out.

    block: makes one for so many channels; it keeps them and the size.
    """
    channels = channels_of(_STEM_CHANNELS * options.width)
    stem = conv_norm_relu(options.channels, channels, 2, _STEM_KERNEL)
    layers: list[nn.Module] = [stem]
    for base, blocks in _STAGES:
        wider = channels_of(base * options.width)
        layers.append(conv_norm_relu(channels, wider, 2))
        layers += [block(wider) for _ in range(blocks)]
        channels = wider
    initialise(nn.Sequential(*layers))
    first = cast(nn.Conv2d, stem[0])
    with torch.no_grad():
        # Shared out over the channels, so that a gray image meets the same filters.
        first.weight.copy_(gabor_filters(first.out_channels) / options.channels)
    return layers, channels


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
