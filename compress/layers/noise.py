"""Signal and noise of one tensor over many images, kept as a handful of sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress.steps.fidelity import LIMIT_DB, decibels

_FLOAT_STEP = 2.0**-23
"""What differs by less than this share of the values themselves is the same number in float32."""


class RunningNoise:
    """Variance of the reference and mean squared difference, image by image.

    The variance is merged by the pairwise update of Chan, Golub and LeVeque (Updating formulae and a pairwise
    algorithm for computing sample variances, 1979): a mean far from zero costs it no digits.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._spread = 0.0
        self._error = 0.0

    def add(self, wanted: NDArray[np.float32], got: NDArray[np.float32]) -> None:
        """One image's values in both networks, of the same size; shapes may differ by axes of length 1.

        A value that is not finite counts where it was not wanted so: minus infinity masks an attention.
        """
        reference, candidate = wanted.ravel(), got.ravel()
        usable = np.isfinite(reference)
        if not usable.all():
            if not np.array_equal(reference[~usable], candidate[~usable], equal_nan=True):
                self._error = np.inf
            reference, candidate = reference[usable], candidate[usable]
        if reference.size:
            self._merge(reference)
            self._error += _squared_difference(reference, candidate)

    @property
    def snr_db(self) -> float | None:
        """As fidelity.snr_db over all images together; None for a single value, which has no variance."""
        if self._count < 2 and np.isfinite(self._error):
            return None
        if not np.isfinite(self._error):
            return -LIMIT_DB
        signal, noise = self._spread / self._count, self._error / self._count
        same = noise <= _FLOAT_STEP**2 * (signal + self._mean**2)
        return LIMIT_DB if same else decibels(signal, noise)

    def _merge(self, values: NDArray[np.float32]) -> None:
        count, mean = values.size, float(values.mean(dtype=np.float64))
        spread = float(values.var(dtype=np.float64)) * count
        total, shift = self._count + count, mean - self._mean
        self._spread += spread + shift**2 * self._count * count / total
        self._mean += shift * count / total
        self._count = total


def _squared_difference(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    if not np.isfinite(got).all():
        return float("inf")
    difference = got.astype(np.float64) - wanted
    return float(np.dot(difference, difference))
