"""The small residual network of cnn.py, with attention over channels in every block.

Hu et al. 2018, "Squeeze-and-Excitation Networks": each channel is averaged over the image, two small layers
read the averages, and a gate between 0 and 1 weighs every channel. The gate knows which part of the body
this is, so that what looks like a fracture in a wrist need not look like one in a foot. MONAI's block does
the same with views that fix the batch in an exported graph. The evidence map is the class-activation map of
base.py at stride 8; gates weigh channels and move nothing.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.layers import conv_norm_relu
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

TRAITS = Traits(prunable=True, least_px=8)

_STEM_CHANNELS, _STEM_KERNEL = 16, 7
_STAGES = ((32, 1), (64, 2))
_REDUCTION = 4
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    channels = channels_of(_STEM_CHANNELS * options.width)
    layers: list[nn.Module] = [conv_norm_relu(options.channels, channels, 2, _STEM_KERNEL)]
    for base, blocks in _STAGES:
        wider = channels_of(base * options.width)
        layers.append(conv_norm_relu(channels, wider, 2))
        layers += [AttentionBlock(wider) for _ in range(blocks)]
        channels = wider
    features = nn.Sequential(*layers)
    initialise(features)
    return FractureNet(features, EvidenceHead(channels, _SHARPNESS), options, size_px)


class ChannelGate(nn.Module):
    """Squeeze by averaging, excite by two 1x1 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels_of(channels / _REDUCTION)
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        return features * cast(Tensor, self.layers(features))


class AttentionBlock(nn.Module):
    """Two 3x3 convolutions and a gate beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.gate = ChannelGate(channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        summed: Tensor = self.gate(self.second(self.first(features))) + features
        return cast(Tensor, self.activation(summed))
