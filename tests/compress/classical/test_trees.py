"""Trees: both ways of writing them answer as scikit-learn does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from compress.classical.graph import tidy_domains
from compress.classical.trees import (
    PROBABILITY_NAME,
    VECTOR_NAME,
    Forest,
    PerfectTrees,
    forest_graph,
    round_down,
)
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Values on a coarse grid, so that many lie exactly on a threshold's neighbour."""
    return (np.random.default_rng(seed).integers(-20, 20, (count, 12)) / 10).astype(np.float32)


def forests() -> list[Forest]:
    given_vectors = vectors(300, 1)
    labels = given_vectors[:, 0] + given_vectors[:, 1] * given_vectors[:, 2] > 0.3
    return [
        RandomForestClassifier(15, max_depth=5, class_weight="balanced", random_state=1).fit(
            given_vectors, labels
        ),
        RandomForestClassifier(3, max_depth=1, random_state=2).fit(given_vectors, labels),
        GradientBoostingClassifier(n_estimators=12, max_depth=3, random_state=3).fit(
            given_vectors, labels, sample_weight=np.where(labels, 3.0, 1.0)
        ),
    ]


@pytest.mark.parametrize("number", range(3))
def test_standard_operators_answer_as_scikit_learn_does(number: int) -> None:
    forest, seen = forests()[number], vectors(200, 9)
    found = PerfectTrees(forest)(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(found, forest.predict_proba(seen), atol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_the_converted_forest_answers_as_scikit_learn_does(number: int) -> None:
    forest, seen = forests()[number], vectors(200, 9)
    model = forest_graph(forest)
    tidy_domains(model)
    del model.graph.output[0]
    onnx.checker.check_model(model)
    found = OrtBackend(ModelFiles(model.SerializeToString())).infer({VECTOR_NAME: seen})[PROBABILITY_NAME]
    np.testing.assert_allclose(found, forest.predict_proba(seen), atol=1e-6)


@given(
    threshold=st.floats(-1e6, 1e6),
    value=st.floats(-1e6, 1e6, width=32),
)
def test_a_rounded_threshold_decides_every_float32_as_before(threshold: float, value: float) -> None:
    assert (np.float32(value) <= round_down(threshold)) == (value <= threshold)


@given(threshold=st.floats(-1e6, 1e6))
def test_the_float32_next_to_a_threshold_stays_on_its_side(threshold: float) -> None:
    near = np.float32(threshold)
    for value in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))):
        assert (value <= round_down(threshold)) == (float(value) <= threshold)
