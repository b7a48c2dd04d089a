"""Segments the fracture: Ronneberger, Fischer & Brox 2015, "U-Net", from stride 2 on.

The evidence map is the mask itself, as logits; the image's logit is pooled from it as in base.py, so that a
small mask counts. Boxes are what runtime.postprocess finds in it. Upsampling repeats pixels instead of
transposed convolution, which leaves a checkerboard (Odena et al. 2016, "Deconvolution and Checkerboard
Artifacts"). Written here and not MONAI's: there the levels at full resolution cost more on a CPU than all
others together, and its blocks keep normalisation where an export cannot fold it.

map_stride 4 (its own) is as fine as the masks that training has; 2 is there for finer ones.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.base import EvidenceHead, FractureNet, StagedFeatures, channels_of, initialise
from compress.zoo.layers import conv_norm_relu
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

_CHANNELS = (16, 32, 64, 128)
"""At strides 2, 4, 8 and 16, at width 1."""
_COARSEST_STRIDE = 16
TRAITS = Traits(prunable=True, map_strides=(4, 2), least_px=_COARSEST_STRIDE, multiple_px=_COARSEST_STRIDE)

_STEM_KERNEL = 7
_SHARPNESS = 1.0


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build, which asks for multiples of 16 px."""
    channels = tuple(channels_of(base * options.width) for base in _CHANNELS)
    map_stride = options.map_stride or TRAITS.map_strides[0]
    levels_up = len(channels) - map_stride.bit_length() + 1
    features = EncoderDecoder(options.channels, channels, levels_up)
    initialise(features)
    return FractureNet(features, EvidenceHead(channels[-1 - levels_up], _SHARPNESS), options, size_px)


class EncoderDecoder(StagedFeatures):
    """(N, c, S, S) -> features of the finest level that it comes back up to.

    channels: of each level from stride 2 on. levels_up: how many times it is upsampled.
    """

    def __init__(self, inside: int, channels: tuple[int, ...], levels_up: int) -> None:
        super().__init__()
        stem = conv_norm_relu(inside, channels[0], 2, _STEM_KERNEL)
        steps = pairwise(channels)
        self.down = nn.ModuleList([stem, *(_twice(above, below, 2) for above, below in steps)])
        climb = list(pairwise(channels[::-1]))[:levels_up]
        self.up = nn.ModuleList(_twice(below + above, above, 1) for below, above in climb)

    def stages(self) -> list[nn.Module]:
        """Level by level, down and up."""
        return [*self.down, *self.up]

    def forward(self, image: Tensor) -> Tensor:
        """Down, keeping each level, and up again beside them."""
        levels = [image]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        features = levels.pop()
        for layer in self.up:
            upsampled = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = cast(Tensor, layer(torch.cat([upsampled, levels.pop()], dim=1)))
        return features


def _twice(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm_relu(inside, outside, stride), *conv_norm_relu(outside, outside))
