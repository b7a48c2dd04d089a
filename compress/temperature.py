"""Scaling of logits: probabilities that mean what they say, without a change of the ranking.

A positive factor on the logit, found by maximum likelihood on patients that the network was not fitted on, is
temperature scaling (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017).
With a shift as well it is the scaling of Platt ("Probabilistic outputs for support vector machines", 1999),
which also mends another share of fractures than the network was trained with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress.predictions import Floats, sigmoid
from runtime.errors import StepError

LARGEST_SCALE = 10.0
"""Beyond this factor, or below its inverse, the logits do not carry what a temperature could mend."""
_LEAST_SLOPE = 0.05
"""Of calibrated logits' spread: below it they move no probability."""
_STEPS = 100
_TOLERANCE = 1e-10


def platt_fit(logits: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """(scale, shift) such that scale * logit + shift is calibrated; the map rises, so the AUROC stays.

    logits, labels: (N,), of patients that the network was not fitted on, or out of fold. Fitted to targets
    that are a little less sure than the labels (Platt 1999), so scores that part the two kinds perfectly have
    a scale too, at most LARGEST_SCALE: a network that makes no mistake on the patients at hand is no reason
    to throw its training away. Raises StepError without images of both kinds, and for scores that tell
    nothing of them.
    """
    ill, healthy = int(np.sum(labels == 1)), int(np.sum(labels == 0))
    if not ill or not healthy:
        raise StepError(
            f"calibration needs fractured and healthy images, got {ill} and {healthy}",
            "give the calibration split more patients",
        )
    targets = np.where(labels == 1, (ill + 1) / (ill + 2), 1 / (healthy + 2))
    scale, shift = _platt(logits, targets)
    if scale * logits.std() < _LEAST_SLOPE:
        raise StepError(
            f"these logits tell nothing of the fractures: the best factor is {scale:.3g}", "train longer"
        )
    if scale > LARGEST_SCALE:
        return LARGEST_SCALE, shift * LARGEST_SCALE / scale  # one half stays where it is
    return scale, shift


def _platt(logits: Floats, targets: Floats) -> tuple[float, float]:
    """Found for standardised logits: far from 0 Newton's first steps go astray."""
    spread, centre = float(logits.std()), float(logits.mean())
    if not spread:
        return 0.0, 0.0
    standard = (logits - centre) / spread
    slope, offset = _most_likely(np.stack([standard, np.ones_like(standard)], axis=1), targets).tolist()
    return slope / spread, offset - slope * centre / spread


def negative_log_likelihood(logits: Floats, targets: NDArray[np.int64] | Floats) -> float:
    """Mean over the images, in nats. targets: (N,) labels, or probabilities that the label is 1."""
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))


def _most_likely(columns: Floats, labels: NDArray[np.int64] | Floats) -> Floats:
    """Newton's method with halved steps; the likelihood has one maximum, at infinity for parted scores."""
    found = np.eye(columns.shape[1])[0]
    loss = negative_log_likelihood(columns @ found, labels)
    for _ in range(_STEPS):
        step = _newton_step(columns, labels, found)
        better = negative_log_likelihood(columns @ (found - step), labels)
        while better > loss and np.abs(step).max() > _TOLERANCE:
            step = step / 2
            better = negative_log_likelihood(columns @ (found - step), labels)
        found = found - step
        # Away from any scale that is accepted there is no need to know by how much.
        if np.abs(step).max() <= _TOLERANCE or not -1 < found[0] < 2 * LARGEST_SCALE:
            break
        loss = better
    return np.asarray(found, np.float64)


def _newton_step(columns: Floats, labels: NDArray[np.int64] | Floats, found: Floats) -> Floats:
    chance = sigmoid(columns @ found)
    slope = columns.T @ (chance - labels)
    # Never 0, so that extreme scores leave the matrix invertible.
    weights = np.maximum(chance * (1 - chance), 1e-12)
    bend = (columns * weights[:, None]).T @ columns
    return np.asarray(np.linalg.solve(bend, slope), np.float64)
