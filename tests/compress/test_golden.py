"""Golden cases: clear on every engine, of different patients, of every verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.datasets.base import Case
from compress.golden import GoldenPool, choose_golden, without_golden
from compress.predictions import Predictions
from runtime.errors import StepError
from runtime.findings import OperatingPoints

POINTS = OperatingPoints(0.3, 0.7)
KEY = "onnxruntime-int8"


def pool(
    logits: list[float], engine: list[float] | None = None, patients: list[str] | None = None
) -> GoldenPool:
    """One image a logit; the engine says the same unless told otherwise, within 0.1."""
    names = [f"image {number}" for number in range(len(logits))]
    people = patients or [f"patient {number}" for number in range(len(logits))]
    cases = tuple(
        Case(name, person, Path(f"{name}.PNG"), int(logit > 0), "hand")
        for name, person, logit in zip(names, people, logits, strict=True)
    )
    reference = Predictions(
        case_ids=np.array(names),
        patient_ids=np.array(people),
        body_parts=np.full(len(names), "hand"),
        labels=np.array([case.label for case in cases]),
        logits=np.array(logits),
    )
    answer = replace(reference, logits=np.array(engine or logits))
    return GoldenPool(cases, POINTS, reference, {KEY: (answer, 0.1)})


def test_verdicts_take_turns_and_each_case_says_what_each_engine_answered() -> None:
    chosen = choose_golden(pool([4.0, 3.0, -4.0, -3.0, 0.0, 0.1]), 3)

    assert {case.verdict for case, _ in chosen} == {"fracture", "none", "doubt"}
    assert [case.file for case, _ in chosen] == [f"golden/golden-0{n}.png" for n in (1, 2, 3)]
    for case, source in chosen:
        assert case.logits[KEY] == case.logits["reference"]
        assert source.case_id not in case.name


def test_a_case_near_a_threshold_on_one_engine_is_not_golden() -> None:
    edge = float(np.log(0.7 / 0.3))
    chosen = choose_golden(pool([4.0, 3.0, -4.0, -3.0], engine=[4.0, edge + 0.05, -4.0, -3.0]), 4)

    assert "image 1" not in {source.case_id for _, source in chosen}


def test_a_case_that_an_engine_decides_otherwise_is_not_golden() -> None:
    chosen = choose_golden(pool([4.0, 3.0, -4.0], engine=[4.0, 0.0, -4.0]), 3)

    assert {source.case_id for _, source in chosen} == {"image 0", "image 2"}


def test_no_patient_gives_two_cases() -> None:
    chosen = choose_golden(pool([4.0, 3.9, 3.8, -4.0], patients=["a", "a", "a", "b"]), 4)

    assert sorted(source.patient_id for _, source in chosen) == ["a", "b"]


def test_a_picture_about_which_engines_may_disagree_whether_it_is_strange_is_not_golden() -> None:
    wary = replace(pool([4.0, 3.0, -4.0, -3.0]), strangeness=np.array([0.9, 0.5, 0.5, 1.1]))

    assert {source.case_id for _, source in choose_golden(wary, 4)} == {"image 1", "image 2"}


def test_familiar_pictures_are_taken_first_and_strange_ones_say_that_they_are_refused() -> None:
    seen = pool([4.0, 3.0, 2.5, -4.0, -3.0, -2.5])
    mixed = replace(seen, strangeness=np.array([3.0, 0.4, 3.0, 3.0, 3.0, 0.4]))

    assert {source.case_id for _, source in choose_golden(mixed, 2)} == {"image 1", "image 5"}
    strange = {source.case_id: case.strange for case, source in choose_golden(mixed, 6)}
    assert strange == {f"image {i}": i not in (1, 5) for i in range(6)}


def test_without_a_clear_case_of_both_kinds_nothing_is_released() -> None:
    with pytest.raises(StepError, match="no clear fracture or on no clear normal"):
        choose_golden(pool([4.0, 3.0, 2.0]), 2)


def test_predictions_of_other_images_are_refused() -> None:
    sound = pool([4.0, -4.0])
    with pytest.raises(ValueError, match="not of the same images"):
        replace(sound, cases=sound.cases[::-1])


def test_each_engine_is_held_to_its_own_thresholds() -> None:
    logits = [4.0, 3.0, -4.0, -3.0, 0.0, 0.1]
    raised = [logit + 6.0 for logit in logits]
    seen = pool(logits, engine=raised)
    with pytest.raises(StepError, match="no golden cases"):
        choose_golden(seen, 3)
    own = OperatingPoints(*(1 / (1 + np.exp(-(edge + 6.0))) for edge in (-0.85, 0.85)))
    chosen = choose_golden(replace(seen, own_points={KEY: own}), 3)

    assert {case.verdict for case, _ in chosen} == {"fracture", "none", "doubt"}
    for case, _ in chosen:
        assert case.logits[KEY] == case.logits["reference"] + 6.0
        assert str(own.decide(1 / (1 + np.exp(-case.logits[KEY])))) == case.verdict


def strange_to(engine: list[float], reference: list[float]) -> GoldenPool:
    """Two clear fractures and two clear normal images, and how strange each is to whom."""
    seen = replace(pool([4.0, 3.0, -4.0, -3.0]), strangeness=np.array(reference))
    return replace(seen, strange_to={KEY: np.array(engine)})


@pytest.mark.parametrize("told", [3.0, 1.1, 0.9, float("nan")])
def test_a_familiar_picture_that_is_not_clearly_so_to_an_engine_is_not_golden(told: float) -> None:
    seen = strange_to([told, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5])

    assert {source.case_id for _, source in choose_golden(seen, 4)} == {"image 1", "image 2", "image 3"}


def test_a_strange_picture_that_an_engine_would_answer_is_not_golden() -> None:
    seen = strange_to([0.5, 0.5, 3.0, 0.5], [3.0, 0.5, 3.0, 0.5])
    strange = {source.case_id: case.strange for case, source in choose_golden(seen, 4)}

    assert strange == {"image 1": False, "image 2": True, "image 3": False}


def test_an_engine_whose_features_have_moved_is_named() -> None:
    sound = pool([4.0, 3.0, -4.0, -3.0])
    answers = {**sound.answers, "openvino-int8": sound.answers[KEY]}
    familiar, moved = np.full(4, 0.5), np.array([3.0, 3.0, 0.5, 0.5])
    seen = replace(sound, answers=answers, strangeness=familiar, strange_to={KEY: familiar})

    assert without_golden(seen) == ()
    apart = replace(seen, strange_to={KEY: familiar, "openvino-int8": moved})
    assert without_golden(apart) == ("openvino-int8",)
    with pytest.raises(StepError, match="no golden cases"):
        choose_golden(apart, 4)
    assert len(choose_golden(apart.of((KEY,)), 4)) == 4


def test_no_engine_is_blamed_for_a_checkpoint_without_clear_cases() -> None:
    assert without_golden(pool([4.0, 3.0, 2.0])) == ()
