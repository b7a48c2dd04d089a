import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.predictions import Predictions, sigmoid
from compress.studies import RULES, combine, has_studies


def _of(studies: list[str], logits: list[float], labels: list[int] | None = None) -> Predictions:
    count = len(studies)
    patients = np.array([study or f"alone-{i}" for i, study in enumerate(studies)])
    return Predictions(
        np.array([f"c{i}" for i in range(count)]),
        patients,
        np.full(count, "hand"),
        np.array(labels or [0] * count),
        np.array(logits),
        study_ids=np.array(studies),
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mean_logit", 0.5),
        ("max_probability", sigmoid(np.array(2.0))),
        ("noisy_or", 1 - 0.1192029 * 0.8807971),
    ],
)
def test_two_views_become_one_answer(rule: str, expected: float) -> None:
    found = combine(_of(["s", "s"], [2.0, -2.0]), rule)
    assert len(found) == 1
    assert found.probabilities[0] == pytest.approx(float(expected), abs=1e-6)


def test_an_examination_is_fractured_when_one_view_is_and_images_alone_stand_for_themselves() -> None:
    found = combine(_of(["s", "", "s", ""], [1.0, 2.0, 3.0, 4.0], [0, 0, 1, 0]), "mean_logit")
    by_patient = dict(zip(found.patient_ids.tolist(), found.labels.tolist(), strict=True))
    assert by_patient == {"s": 1, "alone-1": 0, "alone-3": 0}


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=5))
def test_every_rule_gives_a_finite_logit_and_noisy_or_is_the_highest(logits: list[float]) -> None:
    values = {rule: combine(_of(["s"] * len(logits), logits), rule).logits[0] for rule in RULES}
    assert all(map(np.isfinite, values.values()))
    slack = 1e-9 * max(1, abs(values["max_probability"]))
    assert values["mean_logit"] <= values["max_probability"] + slack
    assert values["max_probability"] <= values["noisy_or"] + max(slack, 1e-6) or max(logits) < -690


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=5))
def test_noisy_or_is_one_minus_the_product(logits: list[float]) -> None:
    found = combine(_of(["s"] * len(logits), logits), "noisy_or").probabilities[0]
    assert found == pytest.approx(1 - np.prod(1 - sigmoid(np.array(logits))), abs=1e-9)


def test_body_parts_that_differ_are_called_several() -> None:
    mixed = Predictions(
        ["a", "b"], ["p", "p"], ["hand", "wrist"], [0, 1], [0.0, 1.0], study_ids=["s", "s"]  # type: ignore[arg-type]
    )  # fmt: skip
    found = combine(mixed, "mean_logit")
    assert (found.body_parts.tolist(), found.patient_ids.tolist()) == (["several"], ["p"])


def test_single_images_are_no_examinations() -> None:
    assert has_studies(_of(["s", "s", ""], [0.0, 0.0, 0.0]))
    assert not has_studies(_of(["s", "t", "", ""], [0.0, 0.0, 0.0, 0.0]))
