"""Gray-level co-occurrence, and what its counts say of a texture.

Haralick, Shanmugam & Dinstein 1973, "Textural Features for Image Classification".
Eight gray levels, distances of 1 and 2 px, the four directions taken together and symmetric. With one-hot
levels the counts of a cell are sums of products: levels of its pixels times the levels of what lies round
them, summed over the directions first, so that eight offsets cost as much as one. No product of matrices
is used: TensorRT has none in FP32 for Turing GPUs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from compress.classical.neighbours import around, cell_means

LEVELS = 8
DISTANCES_PX = (1, 2)
STATISTICS = ("contrast", "homogeneity", "energy", "correlation", "entropy")
_TINY = 1e-6
_FLAT = 1e-3  # of the levels' variance: a patch without any is called perfectly correlated


class GlcmCells(nn.Module):
    """Unit-range images (N, 1, S, S) -> (N, 10, S / 8, S / 8): STATISTICS of each distance.

    The counts are those of the pairs that start in the cell or in one that touches it.
    """

    edges: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edges", torch.arange(1, LEVELS).view(1, -1, 1, 1) / LEVELS)
        self.register_buffer("weights", _linear_statistics())
        for distance in DISTANCES_PX:
            self.register_buffer(f"ring_{distance}", _ring(distance))

    def forward(self, image: Tensor) -> Tensor:
        """Statistics a cell."""
        levels = self.levels(image)
        return torch.cat([self._statistics(self.shares(levels, d)) for d in DISTANCES_PX], dim=1)

    def levels(self, image: Tensor) -> Tensor:
        """(N, 8, S, S) one-hot: level k holds k / 8 <= value < (k + 1) / 8, the last one its end too."""
        reached = (image >= self.edges).float()
        return torch.cat([1 - reached[:, :1], reached[:, :-1] - reached[:, 1:], reached[:, -1:]], dim=1)

    def shares(self, levels: Tensor, distance_px: int) -> Tensor:
        """(N, 64, h, w): share of the pairs at this distance with levels (i, j), at channel 8 i + j."""
        ring: Tensor = getattr(self, f"ring_{distance_px}")
        beside = functional.conv2d(levels, ring, padding=distance_px, groups=LEVELS)
        counts = around(torch.cat([cell_means(levels[:, i : i + 1] * beside) for i in range(LEVELS)], dim=1))
        return counts / counts.sum(dim=1, keepdim=True)

    def _statistics(self, shares: Tensor) -> Tensor:
        linear = functional.conv2d(shares, self.weights)
        contrast, homogeneity, mean, square, product = (linear[:, k : k + 1] for k in range(5))
        energy = (shares * shares).sum(dim=1, keepdim=True).sqrt()
        entropy = -(shares * (shares + _TINY).log()).sum(dim=1, keepdim=True)
        correlation = (product - mean * mean + _FLAT) / (square - mean * mean + _FLAT)
        return torch.cat([contrast, homogeneity, energy, correlation, entropy], dim=1)


def _ring(distance_px: int) -> Tensor:
    """(8, 1, 2 d + 1, 2 d + 1): ones at the eight offsets of that distance."""
    kernel = torch.zeros(2 * distance_px + 1, 2 * distance_px + 1)
    kernel[::distance_px, ::distance_px] = 1
    kernel[distance_px, distance_px] = 0
    return kernel.expand(LEVELS, 1, -1, -1).clone()


def _linear_statistics() -> Tensor:
    """(5, 64, 1, 1): contrast, homogeneity, mean, mean square and mean product of the levels."""
    i, j = torch.meshgrid(torch.arange(LEVELS), torch.arange(LEVELS), indexing="ij")
    squared = (i - j) ** 2
    rows = (squared, 1 / (1 + squared), i, i * i, i * j)
    return torch.stack([row.float().flatten() for row in rows])[:, :, None, None]
