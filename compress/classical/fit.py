"""scikit-learn's classifiers, weighted for the rarer class, and the scale of their answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from compress.classical.nets import LEAST_PROBABILITY, LogitScale
from compress.classical.options import ClassicalOptions
from compress.classical.sampling import CellSample
from compress.classical.trees import Forest
from runtime.errors import StepError

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
_ITERATIONS = 1000
_LEAST_LEAF = 5
_SUBSAMPLE = 0.5
"""Share of the images that each boosted tree sees (Friedman 2002, "Stochastic Gradient Boosting")."""
_LEAST_SPREAD = 1e-6
"""Of the component that varies most."""
_WINDOW_REGULARISATION = 0.01
_UNPENALISED = 1e6


@dataclass(frozen=True, eq=False)
class LinearFit:
    """score = weights . vector + bias, for vectors (F,) as they are."""

    weights: Floats
    bias: float

    def scores(self, vectors: Vectors) -> Floats:
        """(N,)."""
        return np.asarray(vectors.astype(np.float64) @ self.weights + self.bias)

    def scaled(self, scale: LogitScale) -> LinearFit:
        """With the scale inside."""
        return LinearFit(self.weights * scale.slope, self.bias * scale.slope + scale.shift)


def fit_linear(vectors: Vectors, labels: Vectors, options: ClassicalOptions) -> LinearFit:
    """Logistic regression on standardised vectors, the standardisation folded into its weights.

    A component that hardly varies is not blown up: folded into a float32 graph, its weight could be infinite.
    """
    centre, spread = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
    spread = np.maximum(spread, max(_LEAST_SPREAD * float(spread.max()), float(np.finfo(np.float32).tiny)))
    model = LogisticRegression(C=options.regularisation, class_weight="balanced", max_iter=_ITERATIONS).fit(
        (vectors - centre) / spread, labels > 0.5
    )
    weights = model.coef_[0] / spread
    return LinearFit(weights, float(model.intercept_[0] - weights @ centre))


def fit_windows(sample: CellSample) -> LinearFit:
    """A linear classifier of single cells: those in fracture boxes against those outside of any."""
    known = sample.fractured | sample.healthy
    options = ClassicalOptions(regularisation=_WINDOW_REGULARISATION)
    return fit_linear(sample.descriptors[known], sample.fractured[known].astype(np.float32), options)


def fit_forest(vectors: Vectors, labels: Vectors, options: ClassicalOptions, seed: int) -> Forest:
    """Breiman 2001, "Random Forests", or Friedman 2001, "Greedy Function Approximation"; in one thread."""
    is_fractured = labels > 0.5
    if options.name == "random_forest":
        forest = RandomForestClassifier(
            n_estimators=options.trees,
            max_depth=options.depth,
            min_samples_leaf=_LEAST_LEAF,
            class_weight="balanced_subsample",
            random_state=seed,
            n_jobs=1,
        )
        return forest.fit(vectors, is_fractured)
    # Not the histogram variant: skl2onnx 1.20 cannot write its trees beside numpy 2.
    boosted = GradientBoostingClassifier(
        n_estimators=options.trees,
        max_depth=options.depth,
        learning_rate=options.learning_rate,
        subsample=_SUBSAMPLE,
        max_features="sqrt",
        min_samples_leaf=_LEAST_LEAF,
        random_state=seed,
    )
    share = float(is_fractured.mean())
    weights = np.where(is_fractured, 0.5 / share, 0.5 / (1 - share))
    return boosted.fit(vectors, is_fractured, sample_weight=weights)


def forest_scores(forest: Forest, vectors: Vectors) -> Floats:
    """(N,) log-odds of predict_proba, as the graph clips them."""
    fracture = np.clip(forest.predict_proba(vectors)[:, 1], LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.asarray(np.log(fracture) - np.log1p(-fracture))


def fit_scale(scores: Floats, labels: Vectors) -> LogitScale:
    """Platt's logistic map of the scores of patients that no weight was fitted on, with his smoothed targets.

    Class weights move every probability; this brings them back. Raises StepError where higher scores do not
    mean more fractures: such a model has learned nothing.
    """
    fractured = labels > 0.5
    targets = np.where(fractured, 1 - 1 / (fractured.sum() + 2), 1 / ((~fractured).sum() + 2))
    column = np.concatenate([scores, scores])[:, None]
    classes = np.repeat([1, 0], len(scores))
    model = LogisticRegression(C=_UNPENALISED, max_iter=_ITERATIONS)
    model.fit(column, classes, sample_weight=np.concatenate([targets, 1 - targets]))
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        raise StepError(
            f"on the calibration patients a higher score does not mean a fracture (slope {slope:.3g})",
            "bring more patients or other features: this model has learned nothing",
        )
    return LogitScale(slope, float(model.intercept_[0]))
