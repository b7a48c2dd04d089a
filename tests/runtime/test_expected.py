from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.expected import BINS, LOGIT_EDGES, ClassAnswers, ExpectedAnswers, count_answers, cumulative_at
from runtime.findings import OperatingPoints

POINTS = OperatingPoints(high_sensitivity=0.2, high_specificity=0.6)
HEALTHY = count_answers(np.array([-3.0, -2.9, 0.0, 1.0]), POINTS)
FRACTURED = count_answers(np.array([-2.0, 5.0]), POINTS)


def test_answers_are_counted_as_the_thresholds_decide_them() -> None:
    assert (HEALTHY.none, HEALTHY.doubt, HEALTHY.fracture) == (2, 1, 1)
    assert (FRACTURED.none, FRACTURED.doubt, FRACTURED.fracture) == (1, 0, 1)


def test_a_score_on_a_threshold_counts_as_the_box_decides_it() -> None:
    low, high = (np.log(point / (1 - point)) for point in (0.25, 0.5))
    found = count_answers(np.array([low, high]), OperatingPoints(0.25, 0.5))
    assert (found.none, found.doubt, found.fracture) == (0, 1, 1)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=60))
def test_every_logit_lies_in_one_bin(logits: list[float]) -> None:
    found = count_answers(np.array(logits), POINTS)
    assert sum(found.logits) == found.total == len(logits)
    assert found.logits[0] == sum(logit < LOGIT_EDGES[0] for logit in logits)
    assert found.logits[-1] == sum(logit >= LOGIT_EDGES[-1] for logit in logits)


def test_prevalence_and_refusals_are_of_what_was_counted() -> None:
    found = ExpectedAnswers(patients=3, refused=2, healthy=HEALTHY, fractured=FRACTURED)
    assert found.prevalence == pytest.approx(2 / 6) and found.refusal_rate == pytest.approx(2 / 8)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"logits": (1,) * (BINS - 1)}, "33 .*bins|bins, got 33"),
        ({"none": 3}, "the answers 5"),
        ({"doubt": -1, "none": 4}, "must not be negative, got -1"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(HEALTHY, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patients": 0}, "patients must be 1 to 6"),
        ({"patients": 7}, "patients must be 1 to 6"),
        ({"refused": -1}, "refused must not be negative"),
    ],
)
def test_impossible_numbers_of_patients_and_refusals_are_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ExpectedAnswers(
            **{"patients": 3, "refused": 0, "healthy": HEALTHY, "fractured": FRACTURED, **changes}
        )  # type: ignore[arg-type]


def test_a_reference_without_any_answer_is_none() -> None:
    empty = ClassAnswers(0, 0, 0, (0,) * BINS)
    with pytest.raises(ValueError, match="at least one answered"):
        ExpectedAnswers(1, 5, empty, empty)


def test_the_cumulative_count_rises_from_nothing_to_all() -> None:
    counts = HEALTHY.logits
    at = cumulative_at(counts, np.array([-50.0, -3.0, -2.5, 0.25, 50.0]))
    assert at.tolist() == pytest.approx([0, 0, 2, 2.5, 4])
