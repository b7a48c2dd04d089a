"""DenseNet-121: Huang et al. 2017, "Densely Connected Convolutional Networks"; MONAI's without classifier.

The evidence map is the class-activation map of base.py at stride 32. Weights may be a state dict in
torchvision's layout (densenet121-*.pth), with the names of its old files or its new ones.
"""

from __future__ import annotations

import re
from typing import cast

from torch import nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits
from compress.zoo.weights import fill, read_published

TRAITS = Traits(prunable=True, takes_files=True)

_FIRST_CHANNELS, _GROWTH = 64, 32
_SHARPNESS = 1.0
_FEATURES = "features."
_LAYER = re.compile(r"(denselayer\d+)\.(norm|conv)\.?([12])\.")


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    from monai.networks.nets.densenet import DenseNet

    whole = DenseNet(
        spatial_dims=2,
        in_channels=options.channels,
        out_channels=1,
        init_features=channels_of(_FIRST_CHANNELS * options.width),
        growth_rate=channels_of(_GROWTH * options.width),
        block_config=(6, 12, 24, 16),
    )
    features = cast(nn.Sequential, whole.features)
    channels = cast(nn.BatchNorm2d, features.norm5).num_features
    if options.weights:
        fill(features, read_published(options.weights, _own_name))
    features.add_module("relu5", nn.ReLU(inplace=True))
    return FractureNet(features, EvidenceHead(channels, _SHARPNESS), options, size_px)


def _own_name(published: str) -> str:
    if not published.startswith(_FEATURES):
        return ""
    return _LAYER.sub(r"\1.layers.\2\3.", published.removeprefix(_FEATURES))
