"""Figures about made windows: are they copies, are they all alike, can they be told, do they teach. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from compress.patches.features import Rows
from compress.training.history import auroc

_FOLDS = 5
_ROUNDS = 20
_DEGREE = 3
_STRENGTH = 0.1  # inverse regularisation: features are correlated and windows few


def distances(rows: Rows, known: Rows) -> Rows:
    """(n, F), (m, F) -> (n, m) Euclidean."""
    squares = (rows**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * rows @ known.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def nearer_to_first(first: Rows, second: Rows, generator: np.random.Generator) -> float:
    """How often the nearest of equally many of two sets is one of the first; 0.5 where neither is favoured.

    first (n, m), second (n, k): distances of n made windows to the windows they were learnt from and to
    windows that were never seen. Near 1 the made ones are copies. A smooth window lies near to any other, but
    then to both sets (compare Meehan, Chaudhuri & Dasgupta 2020, "A Non-Parametric Test to Detect
    Data-Copying in Generative Models"). Where made windows are all alike, few real ones decide, and the share
    may be anything. The larger set is thinned out at random, many times.
    """
    count = min(first.shape[1], second.shape[1])
    shares = []
    for _ in range(_ROUNDS):
        one, two = (part[:, generator.permutation(part.shape[1])[:count]] for part in (first, second))
        shares.append(float((one.min(axis=1) < two.min(axis=1)).mean()))
    return float(np.mean(shares))


def kernel_distance(one: Rows, two: Rows) -> float:
    """Squared distance of two distributions, 0 for equal ones; without bias it may fall below.

    Kernel inception distance of Binkowski, Sutherland, Arbel & Gretton 2018 ("Demystifying MMD GANs"), on
    whatever the rows hold. Unlike the Frechet distance it does not depend on how many windows there are.
    """
    kernel = [_kernel(one, one), _kernel(two, two), _kernel(one, two)]
    own = [(block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in kernel[:2]]
    return float(sum(own) - 2 * kernel[2].mean())


def spread(rows: Rows) -> float:
    """Mean distance of two different rows."""
    apart = distances(rows, rows)
    np.fill_diagonal(apart, 0)
    return float(apart.sum() / (len(rows) * (len(rows) - 1)))


def told_apart(one: Rows, two: Rows) -> float:
    """AUROC of a linear probe that tells two sets of windows apart, cross-validated; 0.5: it cannot."""
    labels = np.repeat([0, 1], [len(one), len(two)])
    rounds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(
        _probe(), np.concatenate([one, two]), labels, cv=rounds, method="decision_function"
    )
    return auroc(scores, labels.astype(np.float64))


def taught(learnt: Sequence[Rows], asked: Sequence[Rows]) -> float:
    """AUROC on `asked` of a linear probe fitted on `learnt`; both are (fractured, healthy) windows.

    Made windows to learn from, real ones to be asked: the classification accuracy score of Ravuri & Vinyals
    2019 ("Classification Accuracy Score for Conditional Generative Models").
    """
    probe = _probe().fit(np.concatenate(list(learnt)), _labels(learnt))
    return auroc(probe.decision_function(np.concatenate(list(asked))), _labels(asked).astype(np.float64))


def _labels(pair: Sequence[Rows]) -> NDArray[np.int64]:
    return np.repeat([1, 0], [len(pair[0]), len(pair[1])])


def _probe() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=1000))


def _kernel(one: Rows, two: Rows) -> Rows:
    return np.asarray((one @ two.T / one.shape[1] + 1) ** _DEGREE)
