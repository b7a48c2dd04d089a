"""What a release says that a site is to expect."""

from __future__ import annotations

import numpy as np
import pytest

from compress.predictions import Predictions
from compress.release import expected_answers
from runtime.expected import ExpectedAnswers
from runtime.findings import OperatingPoints

POINTS = OperatingPoints(high_sensitivity=0.2, high_specificity=0.6)
LOGITS = np.array([-4.0, -3.0, 0.0, 2.0, -2.5, 3.0])
LABELS = np.array([0, 0, 0, 0, 1, 1])


def reference(refused: tuple[str, ...] = ()) -> Predictions:
    names = np.array([f"case{number}" for number in range(6)])
    patients = np.array(["a", "a", "b", "b", "c", "c"])
    return Predictions(names, patients, np.full(6, "hand"), LABELS, LOGITS, refused=refused)


def expected(*strangeness: np.ndarray, refused: tuple[str, ...] = ()) -> ExpectedAnswers:
    found = expected_answers(reference(refused), POINTS, strangeness)
    assert found is not None
    return found


def test_every_gate_picture_is_counted_by_truth_and_answer() -> None:
    found = expected()
    assert (found.healthy.none, found.healthy.doubt, found.healthy.fracture) == (2, 1, 1)
    assert (found.fractured.none, found.fractured.doubt, found.fractured.fracture) == (1, 0, 1)
    assert (found.patients, found.refused) == (3, 0) and found.prevalence == pytest.approx(1 / 3)


def test_what_any_engine_would_refuse_counts_as_refused_and_nowhere_else() -> None:
    one, other = np.array([0.2, 1.5, 0.1, 0.1, 0.1, 0.1]), np.array([0.2, 1.5, 0.1, 0.1, np.nan, 1.0])
    found = expected(one, other, refused=("lost",))
    assert found.refused == 3 and found.answered == 4
    assert (found.healthy.none, found.fractured.none) == (1, 0)


def test_where_everything_is_strange_nothing_is_expected() -> None:
    assert expected_answers(reference(), POINTS, [np.full(6, 2.0)]) is None
