"""Local binary patterns, uniform and invariant to rotation.

Ojala, Pietikäinen & Mäenpää 2002, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification
with Local Binary Patterns" (their riu2, P = 8, two radii). The eight neighbours are taken where pixels lie,
not interpolated between them: a comparison of two pixels comes out the same on every engine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.classical.neighbours import around, cell_means, pad_with_edge, shifted

RADII_PX = (1, 2)
PATTERNS = 10
"""0 to 8 neighbours at least as bright as the centre, in one run; last, everything that is no single run."""
_RING = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


class LbpCells(nn.Module):
    """Images (N, 1, S, S) -> (N, 20, S / 8, S / 8): shares of the patterns round each cell, radius by radius.

    A share is taken over the cell and those that touch it.
    """

    numbers: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.arange(PATTERNS, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Histograms a cell."""
        shares = [cell_means((codes(image, radius) == self.numbers).float()) for radius in RADII_PX]
        return around(torch.cat(shares, dim=1))


def codes(image: Tensor, radius_px: int) -> Tensor:
    """The pattern's number at each pixel, (N, 1, S, S) float; beyond the border the image repeats."""
    padded = pad_with_edge(image, radius_px)
    ring = [(dy * radius_px, dx * radius_px) for dy, dx in _RING]
    bits = torch.cat([(shifted(padded, offset, radius_px) >= image).float() for offset in ring], dim=1)
    turned = torch.cat([bits[:, 1:], bits[:, :1]], dim=1)
    changes = (bits - turned).abs().sum(dim=1, keepdim=True)
    return torch.where(changes <= 2, bits.sum(dim=1, keepdim=True), PATTERNS - 1.0)
