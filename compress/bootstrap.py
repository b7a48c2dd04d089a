"""Seeded cluster bootstrap: patients are drawn with all their images, many draws at once.

For what has no closed form, such as a whole curve or a threshold. Field and Welsh, "Bootstrapping clustered
data", Journal of the Royal Statistical Society B 69 (2007) 369-390; bounds are percentiles of the draws
(Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compress.intervals import Floats
from compress.predictions import Predictions, Strings

_VALUES_AT_ONCE = 4_000_000
"""Draws are made in parts of about this many weights, so that memory does not grow with the images."""


@dataclass(frozen=True)
class BootstrapOptions:
    """draws: samples of patients. seed: the same seed gives the same bounds."""

    draws: int = 1000
    seed: int = 0


DEFAULT = BootstrapOptions()


@dataclass(frozen=True, eq=False)
class Band:
    """Bounds of a curve: at each x (G,) a low and a high y; NaN where no draw has a value."""

    x: Floats
    low: Floats
    high: Floats


def patient_weights(patients: Strings, options: BootstrapOptions = DEFAULT) -> Iterator[Floats]:
    """Parts of a (draws, N) table: how often each image's patient was drawn, with replacement."""
    _, index = np.unique(patients, return_inverse=True)
    count = int(index.max()) + 1 if len(index) else 0
    rng = np.random.default_rng(options.seed)
    rows = max(1, _VALUES_AT_ONCE // max(1, len(index)))
    for start in range(0, options.draws, rows):
        number = min(rows, options.draws - start)
        drawn = rng.integers(0, max(1, count), (number, count)) + np.arange(number)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=number * count).reshape(number, count)
        yield np.asarray(times[:, index], np.float64)


def roc_band(predictions: Predictions, confidence: float, options: BootstrapOptions = DEFAULT) -> Band:
    """Pointwise bounds of the sensitivity that a false positive rate x allows."""
    grid = np.linspace(0, 1, 101)
    values = [
        _at_most(wrong / wrong[-1], found / found[-1], grid)
        for wrong, found in _draws(predictions, options)
        if wrong[-1] > 0 and found[-1] > 0
    ]
    return _band(grid, values, confidence)


def precision_recall_band(
    predictions: Predictions, confidence: float, options: BootstrapOptions = DEFAULT
) -> Band:
    """Pointwise bounds of the precision at the highest threshold that reaches a recall x."""
    grid = np.linspace(0.02, 1, 50)
    values = []
    for wrong, found in _draws(predictions, options):
        if found[-1] > 0:
            first = np.searchsorted(found, grid * found[-1] * (1 - 1e-12))
            values.append(found[first] / (found[first] + wrong[first]))
    return _band(grid, values, confidence)


def _draws(predictions: Predictions, options: BootstrapOptions) -> Iterator[tuple[Floats, Floats]]:
    """For each draw the weight of healthy and fractured images at or above each score, from the highest."""
    if not len(predictions):
        return
    order = np.argsort(-predictions.logits, kind="stable")
    scores, ill = predictions.logits[order], predictions.labels[order] == 1
    last_of_tie = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    for weights in patient_weights(predictions.patient_ids[order], options):
        found = np.cumsum(weights * ill, axis=1)[:, last_of_tie]
        wrong = np.cumsum(weights * ~ill, axis=1)[:, last_of_tie]
        yield from zip(wrong, found, strict=True)


def _at_most(x: Floats, y: Floats, grid: Floats) -> Floats:
    """The highest y of a rising step curve whose x does not exceed the grid's; 0 before the first step."""
    place = np.searchsorted(x, grid + 1e-12, side="right") - 1
    return np.asarray(np.where(place >= 0, y[place], 0.0), np.float64)


def _band(grid: Floats, values: list[Floats], confidence: float) -> Band:
    if not values:
        empty = np.full(len(grid), np.nan)
        return Band(grid, empty, empty)
    tail = (1 - confidence) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(np.stack(values), (tail, 1 - tail), axis=0)
    return Band(grid, low, high)
