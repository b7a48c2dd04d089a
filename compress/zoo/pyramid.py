"""A finer evidence map: coarse features brought down to finer ones, as in a feature pyramid.

Lin et al. 2017, "Feature Pyramid Networks for Object Detection": the coarsest features are upsampled to the
next finer ones, each narrowed by a 1x1 convolution of its own, and added. A fracture is 16 to 32 px long, one
cell of stride 32; at stride 16 or 8 its place can be told and box supervision reaches it. The paper's 3x3
convolution behind each sum is left out: it has more weights than everything else here and few fractures to
learn them from.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.base import StagedFeatures, initialise, split_at_filters

_CHANNELS = 256


class Pyramid(StagedFeatures):
    """backbone's last features with those of some of its blocks: (N, c, S, S) -> (N, channels, S/s, S/s).

    taps: {index of a layer of the backbone: its channels}, from coarse to fine, each at twice the resolution
    of the one before. `channels` is what comes out.
    """

    def __init__(self, backbone: nn.Sequential, taps: dict[int, int], top_channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = _CHANNELS
        self.laterals = nn.ModuleList(_lateral(inside) for inside in (top_channels, *taps.values()))
        self.activation = nn.ReLU6()
        self._tapped = tuple(taps)
        initialise(self.laterals)

    def stages(self) -> list[nn.Module]:
        """Those of the backbone, then all 1x1 convolutions together."""
        return [*split_at_filters(self.backbone), self.laterals]

    def forward(self, image: Tensor) -> Tensor:
        """Features at the finest tap's stride."""
        kept, features = {}, image
        for index, layer in enumerate(self.backbone):
            features = layer(features)
            if index in self._tapped:
                kept[index] = features
        fused = cast(Tensor, self.activation(self.laterals[0](features)))
        for lateral, index in zip(list(self.laterals)[1:], self._tapped, strict=True):
            upsampled = F.interpolate(fused, scale_factor=2.0, mode="nearest")
            fused = self.activation(lateral(kept[index]) + upsampled)
        return fused


def _lateral(inside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, _CHANNELS, 1, bias=False), nn.BatchNorm2d(_CHANNELS))
