"""Neighbouring pixels and cells by slicing: exact on every engine, and any batch size.

Sizes are made plain numbers with `int`: only the batch is free in the graph, and what is computed from the
sizes would otherwise be computed there again for every image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CELL_PX = 8
"""Side of a cell. Two to three cells span the fractures of a radiograph at 224 to 320 px."""


def cells_along(size_px: int) -> int:
    """How many cells a side of this many pixels has; the last one counts, whole or not."""
    return -(-size_px // CELL_PX)


def whole_cells(planes: Tensor) -> Tensor:
    """(N, C, S, S) resampled to the next side that is a whole number of cells, where its own is none."""
    size_px = int(planes.shape[-1])
    wanted_px = cells_along(size_px) * CELL_PX
    if wanted_px == size_px:
        return planes
    return functional.interpolate(planes, [wanted_px, wanted_px], mode="bilinear", align_corners=False)


def pad_with_edge(planes: Tensor, width: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H + 2 width, W + 2 width), the border repeated, so that it shows no edge."""
    for axis in (2, 3):
        first, last = planes.narrow(axis, 0, 1), planes.narrow(axis, int(planes.shape[axis]) - 1, 1)
        planes = torch.cat([first] * width + [planes] + [last] * width, dim=axis)
    return planes


def shifted(padded: Tensor, offset: tuple[int, int], width: int) -> Tensor:
    """The planes that `pad_with_edge` widened by `width`, seen from (dy, dx) further on."""
    height, columns = int(padded.shape[2]) - 2 * width, int(padded.shape[3]) - 2 * width
    return padded.narrow(2, width + offset[0], height).narrow(3, width + offset[1], columns)


def cell_means(planes: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, H / CELL_PX, W / CELL_PX): the mean of each cell."""
    return functional.avg_pool2d(planes, CELL_PX)


def around(cells: Tensor) -> Tensor:
    """Each cell's mean with the cells that touch it; at the border with those that are there."""
    return functional.avg_pool2d(cells, 3, stride=1, padding=1, count_include_pad=False)
