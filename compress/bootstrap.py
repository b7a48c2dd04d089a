"""Seeded cluster bootstrap: patients are drawn with all their images, many draws at once.

For what has no closed form, such as a whole curve or a threshold, and to check the gates' bounds that have
one (compress.gate). Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society
B 69 (2007) 369-390; bounds are percentiles of the draws (Efron and Tibshirani, "An introduction to the
bootstrap", 1993, chapter 13).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Floats
from compress.predictions import Predictions, Strings

Flags = NDArray[np.bool_]
Statistic = Callable[[Floats], Floats]
"""Weights (N, draws) of the images -> the figure in each draw (draws,), NaN where a draw has none."""

_VALUES_AT_ONCE = 4_000_000
"""Draws are made in parts of about this many weights, so that memory does not grow with the images."""
_VALUES_IN_CACHE = 50_000
"""They are used in smaller parts still: sums over what lies in the processor's cache are faster."""


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
    for times in _drawn_patients(index, options):
        yield np.asarray(times[:, index], np.float64)


def _drawn_patients(index: NDArray[np.int64], options: BootstrapOptions) -> Iterator[NDArray[np.int64]]:
    """Parts of a (draws, patients) table: how often each was drawn. index: (N,) the images' patients."""
    count = int(index.max()) + 1 if len(index) else 0
    rng = np.random.default_rng(options.seed)
    rows = max(1, _VALUES_AT_ONCE // max(1, len(index)))
    for start in range(0, options.draws, rows):
        number = min(rows, options.draws - start)
        drawn = rng.integers(0, max(1, count), (number, count)) + np.arange(number)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=number * count).reshape(number, count)


def lower_bounds(
    statistics: Sequence[Statistic], patients: Strings, confidence: float, options: BootstrapOptions = DEFAULT
) -> list[float | None]:
    """One-sided lower bound of each statistic, all from the same draws; None where no draw has a value.

    It is the 1 - confidence quantile of the draws. Where no image has changed every draw gives 0, and so does
    the bound: that nothing was seen is all it says, however few the patients, and decides nothing.
    """
    _, index = np.unique(patients, return_inverse=True)
    parts = [
        [statistic(times.T[index].astype(np.float64)) for statistic in statistics]
        for drawn in _drawn_patients(index, options)
        for times in np.array_split(drawn, 1 + drawn.shape[0] * len(index) // _VALUES_IN_CACHE)
    ]
    values = [np.concatenate(draws) for draws in zip(*parts, strict=True)]
    return [_quantile(draws[~np.isnan(draws)], 1 - confidence) for draws in values]


def share_change(before: Flags, after: Flags, among: Flags) -> Statistic:
    """How the share of true values among some of the images changes; all (N,)."""
    change = (after.astype(np.float64) - before.astype(np.float64)) * among

    def statistic(weights: Floats) -> Floats:
        return _ratio(change @ weights, among.astype(np.float64) @ weights)

    return statistic


def auroc_change(reference: Predictions, candidate: Predictions) -> Statistic:
    """How the AUROC changes from one to the other on the same cases."""
    ill = reference.labels == 1
    areas = [_won(predictions.logits, ill) for predictions in (reference, candidate)]

    def statistic(weights: Floats) -> Floats:
        pairs = weights[ill].sum(axis=0) * weights[~ill].sum(axis=0)
        return _ratio(areas[1](weights) - areas[0](weights), pairs)

    return statistic


def _won(logits: Floats, ill: Flags) -> Statistic:
    """Of all pairs of a fractured and a healthy image how many the fractured one wins; ties count half."""
    order = np.flatnonzero(~ill)[np.argsort(logits[~ill], kind="stable")]
    below, through = (np.searchsorted(logits[order], logits[ill], side) for side in ("left", "right"))

    def statistic(weights: Floats) -> Floats:
        passed = np.zeros((len(order) + 1, weights.shape[1]))
        np.cumsum(weights[order], axis=0, out=passed[1:])
        return np.asarray(np.einsum("nb,nb->b", weights[ill], passed[below] + passed[through]) / 2)

    return statistic


def _ratio(above: Floats, below: Floats) -> Floats:
    """NaN where there is nothing below."""
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None


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
