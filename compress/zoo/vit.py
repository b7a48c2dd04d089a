"""A vision transformer small enough for two cores: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words".

Width and heads are those of ViT-Tiny (Touvron et al. 2021, "Training data-efficient image transformers") at
half its depth. Patches of 16 px come from a stem of 3x3 convolutions instead of one large filter, without
which a transformer needs far more images (Xiao et al. 2021, "Early Convolutions Help Transformers See
Better"). Written here and not MONAI's: that one needs einops, and its map of patches cannot be had.

There is no class token. Every patch's token is classified by the head and the answers are pooled, which for
mean pooling is the class-activation map of Zhou et al. 2016 over tokens.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.layers import conv_norm_relu, grid_of
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

_PATCH_PX = 16
TRAITS = Traits(least_px=2 * _PATCH_PX, multiple_px=_PATCH_PX)

_DIMENSION, _DEPTH = 192, 6
_HEAD_DIMENSION = 64
_MLP_RATIO = 4
_STEM_SHARES = (8, 4, 2, 1)
"""What part of the dimension each convolution of the stem gives; each halves the image."""
_INITIAL_STD = 0.02
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build, which asks for multiples of 16 px."""
    dimension = channels_of(_DIMENSION * options.width, _HEAD_DIMENSION)
    blocks = [Block(dimension) for _ in range(_DEPTH)]
    positions = Positions(dimension, size_px // _PATCH_PX)
    stem = _stem(options.channels, dimension)
    features = nn.Sequential(*stem, positions, *blocks, nn.LayerNorm(dimension), Grid())
    initialise(features)
    return FractureNet(features, EvidenceHead(dimension, _SHARPNESS), options, size_px)


class Positions(nn.Module):
    """Adds to each patch what is learnt of its place, and makes tokens of the patches."""

    def __init__(self, dimension: int, side: int) -> None:
        super().__init__()
        self.learnt = nn.Parameter(torch.empty(1, dimension, side, side))
        nn.init.trunc_normal_(self.learnt, std=_INITIAL_STD)

    def forward(self, patches: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, h * w, C). Another size than the network's gets places in between."""
        grid = grid_of(patches)
        places: Tensor = self.learnt
        if grid != grid_of(places):
            places = F.interpolate(places, grid, mode="bilinear", align_corners=False)
        return (patches + places).reshape(-1, int(places.shape[1]), grid[0] * grid[1]).transpose(1, 2)


class Attention(nn.Module):
    """Every token looks at every other (Vaswani et al. 2017, "Attention Is All You Need")."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.heads = dimension // _HEAD_DIMENSION
        self.query, self.key, self.value, self.output = (_linear(dimension, dimension) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, C) -> the same shape."""
        query, key, value = (self._split(layer(tokens)) for layer in (self.query, self.key, self.value))
        likeness = (query * _HEAD_DIMENSION**-0.5) @ key.transpose(2, 3)
        mixed = likeness.softmax(dim=3) @ value
        joined = mixed.transpose(1, 2).reshape(-1, int(tokens.shape[1]), int(tokens.shape[2]))
        return cast(Tensor, self.output(joined))

    def _split(self, tokens: Tensor) -> Tensor:
        """(N, T, C) -> (N, heads, T, C / heads)."""
        return tokens.reshape(-1, int(tokens.shape[1]), self.heads, _HEAD_DIMENSION).transpose(1, 2)


class Block(nn.Module):
    """Attention, then two layers for each token; both beside the identity, normalised before."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(dimension)
        self.attention = Attention(dimension)
        self.before_layers = nn.LayerNorm(dimension)
        wide = dimension * _MLP_RATIO
        self.layers = nn.Sequential(_linear(dimension, wide), nn.GELU(), _linear(wide, dimension))

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, C) -> the same shape."""
        tokens = tokens + self.attention(self.before_attention(tokens))
        return tokens + cast(Tensor, self.layers(self.before_layers(tokens)))


class Grid(nn.Module):
    """Puts the tokens of a square image back in their places."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, h * w, C) -> (N, C, h, w)."""
        side = math.isqrt(int(tokens.shape[1]))
        return tokens.transpose(1, 2).reshape(-1, int(tokens.shape[2]), side, side)


def _stem(channels: int, dimension: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for share in _STEM_SHARES:
        layers.append(conv_norm_relu(channels, dimension // share, 2))
        channels = dimension // share
    return [*layers, nn.Conv2d(dimension, dimension, 1)]


def _linear(inside: int, outside: int) -> nn.Linear:
    layer = nn.Linear(inside, outside)
    nn.init.trunc_normal_(layer.weight, std=_INITIAL_STD)
    nn.init.zeros_(layer.bias)
    return layer
