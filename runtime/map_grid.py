"""Evidence maps on a coarse grid: does an engine look where it did when it was released? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = tuple[tuple[float, ...], ...]
"""Rows of cells, each the mean of a map over one part of its area."""


@dataclass(frozen=True)
class MapError:
    """The largest |cell - expected cell| of one map.

    row, column: of that cell, from 0. grid: (rows, columns) of all cells.
    """

    error: float
    row: int
    column: int
    grid: tuple[int, int]

    @property
    def place(self) -> str:
        """For people, who count from 1: "row 2, column 4 of 7 x 7"."""
        rows, columns = self.grid
        return f"row {self.row + 1}, column {self.column + 1} of {rows} x {columns}"


def pool(evidence: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.float64]:
    """An (h, w) map of any size -> (rows, columns) means over equal parts of its area.

    A cell of the map that a line of the grid cuts counts on both sides by the share that lies there.
    """
    height, width = evidence.shape
    return _shares(rows, height) @ evidence.astype(np.float64) @ _shares(columns, width).T


def compare(evidence: NDArray[np.floating], expected: Sequence[Sequence[float]]) -> MapError:
    """An (h, w) map against the cells that it was released with, on the grid of these."""
    wanted = np.asarray(expected, np.float64)
    errors = np.abs(pool(evidence, *wanted.shape) - wanted)
    row, column = (int(i) for i in np.unravel_index(errors.argmax(), errors.shape))
    return MapError(float(errors[row, column]), row, column, (wanted.shape[0], wanted.shape[1]))


def _shares(parts: int, cells: int) -> NDArray[np.float64]:
    """(parts, cells): how much of each part is covered by each cell; every row adds up to 1."""
    edges = np.arange(parts + 1) * (cells / parts)
    left, right = np.arange(cells), np.arange(1, cells + 1)
    covered = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
    return np.asarray(np.maximum(covered, 0.0) * (parts / cells))
