"""Cells to learn from: some of every image, and what lies in the fracture boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.training.data import LabelledTensors

_TOTAL_CELLS = 90_000
_MOST_PER_IMAGE = 60
_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class CellTruth:
    """What is known of each cell of a set. shares: (N, h, w), the part that lies in a fracture box.

    healthy: (N, h, w), 1 where no fracture is. In a fractured image that nobody has outlined nothing is
    known; where nobody has outlined any, every cell counts as its image is labelled.
    """

    shares: NDArray[np.float32]
    healthy: NDArray[np.float32]


def cell_truth(data: LabelledTensors, side_cells: int) -> CellTruth:
    """From the labels and the boxes' masks."""
    step = data.masks.shape[-1] // side_cells
    split = data.masks.reshape(len(data), side_cells, step, side_cells, step)
    shares = split.mean(axis=(2, 4), dtype=np.float32)
    fractured = (data.labels > 0.5)[:, None, None]
    if not shares.any():
        shares = np.broadcast_to(fractured, shares.shape).astype(np.float32)
    outlined = shares.any(axis=(1, 2), keepdims=True)
    return CellTruth(shares, np.where(fractured & ~outlined, 0, 1 - shares).astype(np.float32))


@dataclass(frozen=True, eq=False)
class CellSample:
    """descriptors: (M, D). fractured: (M,) mostly in a fracture box. healthy: (M,) wholly outside of any."""

    descriptors: NDArray[np.float32]
    fractured: NDArray[np.bool_]
    healthy: NDArray[np.bool_]


class Sampler:
    """Takes cells of one image after the other: at random, and every one that lies mostly in a box."""

    def __init__(self, truth: CellTruth, seed: int) -> None:
        self._truth = truth
        self._rng = np.random.default_rng(seed)
        self._per_image = max(1, min(_MOST_PER_IMAGE, _TOTAL_CELLS // len(truth.shares)))
        self._taken: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]] = []

    def take(self, number: int, descriptors: NDArray[np.float32]) -> None:
        """descriptors: (D, h, w) of image `number`."""
        flat = descriptors.reshape(len(descriptors), -1)
        shares, healthy = self._truth.shares[number].ravel(), self._truth.healthy[number].ravel()
        drawn = self._rng.permutation(flat.shape[1])[: self._per_image]
        cells = np.union1d(drawn, np.flatnonzero(shares > _MOSTLY))
        self._taken.append((flat[:, cells].T.copy(), shares[cells] > _MOSTLY, healthy[cells] == 1))

    def sample(self) -> CellSample:
        """All that was taken."""
        return CellSample(*(np.concatenate(column) for column in zip(*self._taken, strict=True)))
