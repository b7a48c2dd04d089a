"""The linear fit: standardisation is folded in, and nothing that hardly varies is blown up."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from compress.classical.fit import fit_linear
from compress.classical.options import ClassicalOptions

OPTIONS = ClassicalOptions("logistic_regression", regularisation=0.1)


def draw(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    labels = (np.arange(count) % 2).astype(np.float32)
    vectors = generator.normal(size=(count, 3)) * [1.0, 50.0, 0.01] + 3
    vectors[:, 0] += labels
    return vectors.astype(np.float32), labels


def test_the_fold_gives_what_scikit_learn_s_own_pipeline_gives() -> None:
    vectors, labels = draw()
    own = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    ).fit(vectors.astype(np.float64), labels)

    np.testing.assert_allclose(
        fit_linear(vectors, labels, OPTIONS).scores(vectors), own.decision_function(vectors), atol=1e-4
    )


@pytest.mark.parametrize("spread", [0.0, 1e-37, 1e-12])
def test_a_component_that_hardly_varies_leaves_a_weight_that_float32_can_hold(spread: float) -> None:
    vectors, labels = draw()
    vectors[:, 2] = np.where(np.arange(len(vectors)) == 7, spread, 0.0)
    fitted = fit_linear(vectors, labels, OPTIONS)

    assert np.abs(fitted.weights).max() < 1e6
    assert np.isfinite(fitted.scores(vectors)).all()
