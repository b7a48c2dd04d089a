"""Cells to learn from: some of every image, and what lies in the fracture boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from compress.training.data import LabelledTensors

_TOTAL_CELLS = 90_000
_MOST_PER_IMAGE = 60
_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class CellTruth:
    """What is known of each cell of a set, as (N, h, w) bool.

    fractured: most of the cell lies in a fracture box, or as much of it as of any in the image.
    healthy: none of it does. In a fractured image that nobody has outlined nothing is known; where nobody has
    outlined any, every cell counts as its image is labelled.
    """

    fractured: NDArray[np.bool_]
    healthy: NDArray[np.bool_]


def cell_truth(data: LabelledTensors, side_cells: int) -> CellTruth:
    """From the labels and the boxes' masks."""
    masks = torch.from_numpy(np.asarray(data.masks, np.float32))
    shares = functional.adaptive_avg_pool2d(masks, side_cells).numpy()  # cells need not be whole mask pixels
    is_fractured = (data.labels > 0.5)[:, None, None]
    if not shares.any():
        everywhere = np.broadcast_to(is_fractured, shares.shape)
        return CellTruth(everywhere, ~everywhere)
    most = shares.max(axis=(1, 2), keepdims=True)
    fractured = (shares > 0) & (shares >= np.minimum(most, _MOSTLY))
    return CellTruth(fractured, (shares == 0) & (~is_fractured | (most > 0)))


@dataclass(frozen=True, eq=False)
class CellSample:
    """descriptors: (M, D). fractured, healthy: (M,), see CellTruth; some cells are neither."""

    descriptors: NDArray[np.float32]
    fractured: NDArray[np.bool_]
    healthy: NDArray[np.bool_]


class Sampler:
    """Takes cells of one image after the other: some at random, and as many of the fractured ones."""

    def __init__(self, truth: CellTruth, seed: int) -> None:
        self._truth = truth
        self._rng = np.random.default_rng(seed)
        self._per_image = max(1, min(_MOST_PER_IMAGE, _TOTAL_CELLS // len(truth.healthy)))
        self._taken: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]] = []

    def take(self, number: int, descriptors: NDArray[np.float32]) -> None:
        """descriptors: (D, h, w) of image `number`."""
        flat = descriptors.reshape(len(descriptors), -1)
        fractured, healthy = self._truth.fractured[number].ravel(), self._truth.healthy[number].ravel()
        drawn = self._rng.permutation(flat.shape[1])[: self._per_image]
        broken = self._rng.permutation(np.flatnonzero(fractured))[:_MOST_PER_IMAGE]
        cells = np.union1d(drawn, broken)
        self._taken.append((flat[:, cells].T.copy(), fractured[cells], healthy[cells]))

    def sample(self) -> CellSample:
        """All that was taken."""
        return CellSample(*(np.concatenate(column) for column in zip(*self._taken, strict=True)))
