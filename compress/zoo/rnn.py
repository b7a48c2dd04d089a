"""A recurrent network that reads the image as patches, row by row and column by column: see sweep.py.

The evidence map is the class-activation map of base.py over the last states, one for each patch of 8 px.
Every state has seen the whole image, so the map says where the answer was formed rather than where the
pixels are; supervision by boxes ties the two.
"""

from __future__ import annotations

from torch import nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.options import ModelOptions
from compress.zoo.sweep import renet_layer
from compress.zoo.traits import Traits

_PATCH_PX = 8
TRAITS = Traits(least_px=2 * _PATCH_PX, multiple_px=_PATCH_PX)

_PATCH_CHANNELS, _HIDDEN, _LAYERS = 64, 48, 2
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build, which asks for multiples of 8 px."""
    channels, hidden = (channels_of(base * options.width) for base in (_PATCH_CHANNELS, _HIDDEN))
    patches = nn.Sequential(
        nn.Conv2d(options.channels, channels, _PATCH_PX, stride=_PATCH_PX, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
    layers: list[nn.Module] = [patches]
    for _ in range(_LAYERS):
        layers += renet_layer(channels, hidden)
        channels = 2 * hidden
    features = nn.Sequential(*layers)
    initialise(features)
    return FractureNet(features, EvidenceHead(channels, _SHARPNESS), options, size_px)
