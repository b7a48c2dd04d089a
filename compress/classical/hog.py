"""Histograms of oriented gradients.

Dalal & Triggs 2005, "Histograms of Oriented Gradients for Human Detection".
Gradients by [-1, 0, 1]; each pixel votes with its magnitude for the two nearest of nine unsigned
orientations and the four nearest cells (trilinear interpolation); blocks of 3 x 3 cells, the size that the
paper found best, are normalised by L2-Hys. Here every cell has a block of its own, centred on it, so that the
grid of descriptors is the grid of cells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from compress.classical.neighbours import CELL_PX, pad_with_edge, shifted

ORIENTATIONS = 9
BLOCK_CELLS = 9
NOISE_FLOOR = 0.02
"""Of a block's gradient, as share of the exposure range a pixel: weaker ones are not blown up to edges."""
_CLIP = 0.2
_TINY = 1e-12


class HogCells(nn.Module):
    """Unit-range images (N, 1, S, S) -> votes (N, 9, S / 8, S / 8), the mean magnitude an orientation.

    Orientation k is centred on (k + 0.5) * 20 degrees - 90 of the gradient's direction.
    """

    centres: Tensor
    down: Tensor
    across: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centres", torch.arange(ORIENTATIONS).view(1, -1, 1, 1) + 0.5)
        distance = (torch.arange(2 * CELL_PX) - (CELL_PX - 0.5)).abs()
        kernel = ((1 - distance / CELL_PX) / CELL_PX).repeat(ORIENTATIONS, 1)
        self.register_buffer("down", kernel[:, None, :, None])
        self.register_buffer("across", kernel[:, None, None, :])

    def forward(self, image: Tensor) -> Tensor:
        """Votes a cell."""
        padded = pad_with_edge(image, 1)
        dx = shifted(padded, (0, 1), 1) - shifted(padded, (0, -1), 1)
        dy = shifted(padded, (1, 0), 1) - shifted(padded, (-1, 0), 1)
        magnitude = (dx * dx + dy * dy).sqrt()
        angle = torch.atan(dy / torch.where(dx == 0, _TINY, dx))
        distance = (angle * (ORIENTATIONS / math.pi) + ORIENTATIONS / 2 - self.centres).abs()
        wrapped = torch.minimum(distance, ORIENTATIONS - distance)
        return self._pool(functional.relu(1 - wrapped) * magnitude)

    def _pool(self, votes: Tensor) -> Tensor:
        """Share each vote between the cells whose centres lie nearest."""
        half = CELL_PX // 2
        rows = functional.conv2d(
            votes, self.down, stride=(CELL_PX, 1), padding=(half, 0), groups=ORIENTATIONS
        )
        return functional.conv2d(
            rows, self.across, stride=(1, CELL_PX), padding=(0, half), groups=ORIENTATIONS
        )


def normalised_blocks(cells: Tensor) -> Tensor:
    """Cell votes (N, 9, h, w) -> L2-Hys descriptors (N, 81, h, w); cells outside the image count as empty.

    Channel 9 b + k: orientation k of the block's cell b, row by row; b = 4 is the cell itself.
    """
    padded = functional.pad(cells, (1, 1, 1, 1))
    offsets = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    block = torch.cat([shifted(padded, offset, 1) for offset in offsets], dim=1)
    clipped = _unit_length(block, NOISE_FLOOR).clamp(max=_CLIP)
    return _unit_length(clipped, _TINY)


def _unit_length(vectors: Tensor, floor: float) -> Tensor:
    return vectors / ((vectors * vectors).sum(dim=1, keepdim=True) + floor * floor).sqrt()
