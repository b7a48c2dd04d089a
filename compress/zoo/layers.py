"""Layers that several networks are built from."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


def conv_norm_relu(inside: int, outside: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """(N, inside, h, w) -> (N, outside, h / stride, w / stride)."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016, "Deep Residual Learning").

    The second starts at zero, so the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.activation = nn.ReLU(inplace=True)
        nn.init.zeros_(cast(nn.BatchNorm2d, self.second[1]).weight)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        summed: Tensor = self.second(self.first(features)) + features
        return cast(Tensor, self.activation(summed))


def grid_of(features: Tensor) -> tuple[int, int]:
    """(h, w) as plain numbers, so that an exported graph holds constants and no shape arithmetic."""
    return int(features.shape[2]), int(features.shape[3])
