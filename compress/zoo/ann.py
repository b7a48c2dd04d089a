"""A multilayer perceptron on the image averaged down to 32 x 32 cells: the baseline without convolutions.

The evidence map is the network's own answer for each cell of an 8 x 8 grid, as the fully connected detector
of Redmon et al. 2016 ("You Only Look Once") predicts its grid; the logit is pooled from it as in base.py.
Any cell may look at the whole image, so only supervision by boxes ties a cell to its place.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.base import EvidenceHead, FractureNet, channels_of
from compress.zoo.layers import grid_of
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

_INPUT_CELLS = 32
TRAITS = Traits(least_px=_INPUT_CELLS, multiple_px=_INPUT_CELLS)

_HIDDEN = 256
_MAP_CELLS = 8
_MAP_CHANNELS = 16
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build, which asks for multiples of 32 px."""
    hidden = channels_of(_HIDDEN * options.width)
    features = nn.Sequential(
        Cells(),
        nn.Flatten(),
        _linear(options.channels * _INPUT_CELLS**2, hidden),
        nn.ReLU(inplace=True),
        _linear(hidden, hidden),
        nn.ReLU(inplace=True),
        _linear(hidden, _MAP_CHANNELS * _MAP_CELLS**2),
        nn.ReLU(inplace=True),
        Grid(),
    )
    return FractureNet(features, EvidenceHead(_MAP_CHANNELS, _SHARPNESS), options, size_px)


class Cells(nn.Module):
    """Averages any size that 32 divides down to 32 x 32."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, c, S, S) -> (N, c, 32, 32)."""
        return F.avg_pool2d(image, grid_of(image)[0] // _INPUT_CELLS)


class Grid(nn.Module):
    """Gives the last layer's values their places."""

    def forward(self, values: Tensor) -> Tensor:
        """(N, 16 * 8 * 8) -> (N, 16, 8, 8)."""
        return values.reshape(-1, _MAP_CHANNELS, _MAP_CELLS, _MAP_CELLS)


def _linear(inside: int, outside: int) -> nn.Linear:
    """He et al. 2015, as in base.initialise."""
    layer = nn.Linear(inside, outside)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inside))
    nn.init.zeros_(layer.bias)
    return layer
