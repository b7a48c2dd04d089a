"""In which order the images of the fit set come."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from compress.training.data import LabelledTensors
from compress.training.options import ImbalanceOptions
from runtime.errors import StepError

Rows = NDArray[np.int64]


def epoch_order(data: LabelledTensors, options: ImbalanceOptions, generator: Generator) -> Rows:
    """As many rows of `data` as it has: every one once, or balanced where the options say so.

    Raises StepError where strata are asked for and the data has none.
    """
    if options.method != "sampling":
        return _shuffled(len(data), generator)
    return balanced_order(cells_of(data, options.balance), len(data), generator)


def cells_of(data: LabelledTensors, balance: str) -> Rows:
    """(N,) the number of each row's cell: its label, or its label within its stratum."""
    labels = (data.labels > 0.5).astype(np.int64)
    if balance == "label":
        return labels
    if data.strata is None:
        raise StepError(
            'balance = "label_and_stratum" needs the body part of every image', 'set balance = "label"'
        )
    _, strata = np.unique(data.strata, return_inverse=True)
    return strata.astype(np.int64) * 2 + labels


def balanced_order(cells: Rows, count: int, generator: Generator) -> Rows:
    """`count` rows in which the cells take turns; no row comes again before all of its cell have come.

    Every run of consecutive rows, hence every batch, holds equally many of each cell, give or take one.
    """
    members = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    turns = np.empty((-(-count // len(members)), len(members)), np.int64)
    for column, rows in enumerate(members):
        rounds = -(-len(turns) // len(rows))
        drawn = [rows[_shuffled(len(rows), generator)] for _ in range(rounds)]
        turns[:, column] = np.concatenate(drawn)[: len(turns)]
    return turns.flatten()[:count]


def _shuffled(count: int, generator: Generator) -> Rows:
    order: Rows = torch.randperm(count, generator=generator).numpy()
    return order
