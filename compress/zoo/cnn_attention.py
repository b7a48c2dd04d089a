"""The small residual network of cnn.py, with attention over channels in every block.

Hu et al. 2018, "Squeeze-and-Excitation Networks": each channel is averaged over the image, two small layers
read the averages, and a gate between 0 and 1 weighs every channel. The gate knows which part of the body
this is, so that what looks like a fracture in a wrist need not look like one in a foot. MONAI's block does
the same with views, whose shapes become arithmetic in an exported graph. The evidence map is the
class-activation map of base.py at stride 8; gates weigh channels and move nothing.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from compress.zoo import cnn
from compress.zoo.base import EvidenceHead, FractureNet, channels_of
from compress.zoo.layers import ResidualBlock
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

TRAITS = Traits(prunable=True, least_px=8)

_REDUCTION = 4
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    layers, channels = cnn.body(options, AttentionBlock)
    return FractureNet(nn.Sequential(*layers), EvidenceHead(channels, _SHARPNESS), options, size_px)


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


class AttentionBlock(ResidualBlock):
    """A residual block whose branch is gated before it is added."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = ChannelGate(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        summed: Tensor = self.gate(self.second(self.first(features))) + features
        return cast(Tensor, self.activation(summed))
