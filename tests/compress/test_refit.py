"""Thresholds of a compressed model's own: moved by shares, refused with a reason, judged by the gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.datasets.base import Case
from compress.gate import FAIL
from compress.judgement import Court, Judged, Trial, judge
from compress.options.gate import NO_DRIFT_LIMITS, Margins
from compress.predictions import Predictions
from compress.recipe import parse_recipe
from compress.refit import FEWEST_PATIENTS, Refit, Selection, refit, transfer
from compress.report.schema import verdict_schema
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, TensorInfo
from runtime.detector import DetectorSpec
from runtime.errors import StepError
from runtime.examination import ExaminationSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import Placement, PreprocessSpec

from .cohort import CohortOptions, cohort, perturbed, with_logits

POINTS = OperatingPoints(0.3, 0.7)
_SIZE_PX = 32


def scored(logits: list[float], labels: list[int]) -> Predictions:
    """One image a patient."""
    names = np.array([f"image {number}" for number in range(len(logits))])
    people = np.array([f"patient {number}" for number in range(len(logits))])
    return Predictions(names, people, np.full(len(names), "hand"), np.array(labels), np.array(logits))


def decisions(seen: Predictions, points: OperatingPoints) -> list[str]:
    return [str(points.decide(chance)) for chance in seen.probabilities.tolist()]


@st.composite
def answers(draw: st.DrawFn) -> tuple[Predictions, OperatingPoints]:
    """Enough patients, with ties, in any order of labels, and thresholds anywhere, on scores too."""
    count = draw(st.integers(FEWEST_PATIENTS, 30))
    logits = draw(
        st.lists(st.integers(-60, 60).map(lambda v: v / 10), min_size=2 * count, max_size=2 * count)
    )
    cuts = sorted(draw(st.tuples(*[st.integers(-70, 70).map(lambda v: v / 10)] * 2)))
    chances = [1 / (1 + np.exp(-cut)) for cut in cuts]
    return scored(logits, [0, 1] * count), OperatingPoints(float(chances[0]), float(chances[1]))


RISING: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "the same": lambda x: x,
    "shifted": lambda x: x + 1.0,
    "shifted far": lambda x: x - 7.5,
    "flatter": lambda x: 0.3 * x - 2.0,
    "steeper": lambda x: 2.5 * x + 1.0,
    "bent": lambda x: np.sinh(x / 3),
}


@pytest.mark.parametrize("name", RISING)
@given(seen=answers())
def test_where_only_the_scale_moved_every_selection_patient_is_decided_as_before(
    name: str, seen: tuple[Predictions, OperatingPoints]
) -> None:
    reference, points = seen
    candidate = with_logits(reference, RISING[name](reference.logits))
    own = transfer(reference, candidate, points)
    assert decisions(candidate, own) == decisions(reference, points)


def test_a_shift_moves_thresholds_between_scores_by_just_as_much() -> None:
    reference = cohort(np.random.default_rng(1), CohortOptions(patients=80))
    own = transfer(reference, with_logits(reference, reference.logits + 1.0), POINTS)
    logit = np.log([chance / (1 - chance) for chance in vars(own).values()])
    assert logit == pytest.approx(np.log([0.3 / 0.7, 0.7 / 0.3]) + 1.0)


def test_equal_answers_keep_the_locked_thresholds() -> None:
    reference = cohort(np.random.default_rng(2), CohortOptions(patients=80))
    assert vars(transfer(reference, reference, POINTS)) == pytest.approx(vars(POINTS), abs=1e-12)


@given(seen=answers(), noise=st.integers(0, 2**32 - 1))
def test_a_model_with_another_ranking_keeps_both_shares_and_the_order_of_the_points(
    seen: tuple[Predictions, OperatingPoints], noise: int
) -> None:
    reference, points = seen
    candidate = perturbed(np.random.default_rng(noise), reference, 1.5)
    own = transfer(reference, candidate, points)
    ill = reference.labels == 1
    assert 0 < own.high_sensitivity <= own.high_specificity < 1
    found, before = candidate.probabilities >= own.high_sensitivity, reference.probabilities
    assert found[ill].sum() >= (before >= points.high_sensitivity)[ill].sum()
    healthy = candidate.probabilities[~ill] < own.high_specificity
    assert healthy.sum() >= (before[~ill] < points.high_specificity).sum()


def test_scores_that_the_candidate_no_longer_tells_apart_lose_no_fracture() -> None:
    reference = scored([float(value) for value in range(-20, 20)], [0] * 20 + [1] * 20)
    points = OperatingPoints(1 / (1 + np.exp(-4.5)), 1 / (1 + np.exp(-6.5)))
    tied = with_logits(reference, np.where(reference.logits > 1, 2.0, reference.logits))
    own = transfer(reference, tied, points)
    assert set(decisions(tied, own)[22:]) <= {"doubt", "fracture"}


def test_with_too_few_patients_of_a_kind_the_locked_thresholds_stay_and_a_reason_is_said() -> None:
    few = FEWEST_PATIENTS - 1
    reference = scored([float(value) for value in range(few + 60)], [1] * few + [0] * 60)
    found = refit(Selection((), reference, POINTS), with_logits(reference, reference.logits + 1))
    assert found.own is None and found.points == POINTS
    assert (found.fractured, found.healthy) == (few, 60)
    assert f"{FEWEST_PATIENTS} of each kind are needed: {few} with a fractured image" in found.reason
    assert found.to_json()["candidate"] == vars(POINTS)
    assert not found.to_json()["refitted"]


def test_several_images_of_few_patients_are_too_few() -> None:
    seen = cohort(np.random.default_rng(3), CohortOptions(patients=30, views=6))
    with pytest.raises(StepError, match="too few selection patients"):
        transfer(seen, seen, POINTS)


def test_a_candidate_that_left_cases_out_gets_no_thresholds() -> None:
    seen = cohort(np.random.default_rng(4))
    missing = replace(seen.subset(seen.case_ids != "case-0"), refused=("case-0",))
    found = refit(Selection((), seen, POINTS), missing)
    assert found.own is None and "the candidate gave no answer for 1 selection images" in found.reason
    with pytest.raises(StepError, match="same selection images"):
        transfer(seen, seen.subset(seen.case_ids != "case-0"), POINTS)


def in_examinations(seen: Predictions, patients: int) -> Refit:
    """Of a candidate shifted by one, where two views of the first patients are an examination."""
    known = [f"patient-{number}" for number in range(patients)]
    people = seen.patient_ids.tolist()
    cases = tuple(
        Case(str(name), person, Path("x.png"), int(label), "hand", study_id=person if person in known else "")
        for name, person, label in zip(seen.case_ids.tolist(), people, seen.labels, strict=True)
    )
    spec = ExaminationSpec("mean_logit", OperatingPoints(0.4, 0.6))
    return refit(Selection(cases, seen, POINTS, spec), with_logits(seen, seen.logits + 1.0))


def test_thresholds_of_examinations_are_moved_in_the_same_way() -> None:
    found = in_examinations(cohort(np.random.default_rng(5)), 120)
    assert found.own is not None and found.own.examinations is not None
    moved = np.log([chance / (1 - chance) for chance in vars(found.own.examinations).values()])
    assert moved == pytest.approx(np.log([0.4 / 0.6, 0.6 / 0.4]) + 1.0)
    assert found.to_json()["examinations"]["reference"] == {"high_sensitivity": 0.4, "high_specificity": 0.6}


def test_with_too_few_examinations_those_of_images_stay_too() -> None:
    found = in_examinations(cohort(np.random.default_rng(5)), 30)
    assert found.own is None and found.points == POINTS
    assert found.reason.startswith("examinations of several views: too few selection patients")


@dataclass(frozen=True)
class _Tensors:
    """Stands for pictures: every pixel is the logit that the original gives the case."""

    logits: Mapping[str, float]

    def tensor(self, case: Case) -> NDArray[np.float32]:
        return np.full((1, 1, _SIZE_PX, _SIZE_PX), self.logits[case.case_id], np.float32)

    def placement(self, case: Case) -> Placement:
        raise AssertionError(f"{case.case_id} has no box to be placed")


@dataclass
class _Network:
    """Answers with a function of the picture, and counts how often it was asked."""

    answer: Callable[[float], float]
    asked: int = 0
    name: str = "fake"
    device: str = "cpu"
    inputs: tuple[TensorInfo, ...] = (TensorInfo(INPUT_NAME, (1, 1, _SIZE_PX, _SIZE_PX), "float32"),)
    outputs: tuple[TensorInfo, ...] = ()

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        self.asked += 1
        value = np.full((1, 1), self.answer(float(feeds[INPUT_NAME][0, 0, 0, 0])), np.float32)
        return {LOGIT_NAME: value, MAP_NAME: value[None, None]}

    def close(self) -> None:
        return


@dataclass(frozen=True)
class _Room:
    """A court whose reference answers with the pixel itself, and a folder for what is tried."""

    court: Court
    folder: Path

    def try_(self, network: _Network, refits: bool = True) -> Judged:
        artifact = Artifact("step", self.folder, "model.onnx", "onnx", "0" * 64)
        margins = Margins(auroc=0.05, sensitivity=0.05, specificity=0.05)
        return judge(self.court, Trial(artifact, lambda: network, margins, refits=refits))


def _patients(seed: int, name: str) -> tuple[tuple[Case, ...], Predictions]:
    drawn = cohort(np.random.default_rng(seed), CohortOptions(patients=240, separation=4.0))
    drawn = replace(drawn, case_ids=np.array([f"{name}-{case}" for case in drawn.case_ids.tolist()]))
    seen = with_logits(drawn, drawn.logits.astype(np.float32).astype(np.float64))
    rows = zip(seen.case_ids.tolist(), seen.patient_ids.tolist(), seen.labels, strict=True)
    return tuple(Case(case, person, Path("x.png"), int(ill), "hand") for case, person, ill in rows), seen


@pytest.fixture
def room(tmp_path: Path) -> _Room:
    (gated, reference), (selected, known) = _patients(11, "gate"), _patients(12, "selection")
    logits = {
        case: float(logit)
        for seen in (reference, known)
        for case, logit in zip(seen.case_ids.tolist(), seen.logits, strict=True)
    }
    spec = DetectorSpec(PreprocessSpec(size_px=_SIZE_PX), POINTS, (), Provenance("", "", "test", "1"))
    court = Court(
        _Tensors(logits),  # type: ignore[arg-type]  # as much of a cache as a court asks for
        gated,
        spec,
        replace(reference, views=np.full(len(reference), "")),
        "data",
        0.95,
        drift=NO_DRIFT_LIMITS,
        selection=Selection(selected, known, POINTS),
    )
    return _Room(court, tmp_path)


def _raised(value: float) -> float:
    return value + 1.0


def test_a_candidate_raised_by_one_fails_at_the_locked_thresholds_and_passes_at_its_own(room: _Room) -> None:
    locked = room.try_(_Network(_raised), refits=False)
    assert locked.verdict.outcome == FAIL
    assert {check.metric for check in locked.verdict.checks if check.outcome == FAIL} == {"specificity"}
    assert locked.verdict.flips and locked.own is None
    moved = room.try_(_Network(_raised))
    assert moved.passed and not moved.verdict.flips
    assert moved.own is not None and moved.own.images.high_sensitivity > POINTS.high_sensitivity
    places = {name: point.threshold for name, point in moved.report.points.items()}
    assert places == vars(moved.own.images)


def test_a_candidate_whose_ranking_is_damaged_fails_at_its_own_thresholds_too(room: _Room) -> None:
    judged = room.try_(_Network(lambda value: float(np.sin(40 * value)) + 1.0))
    assert judged.own is not None
    assert judged.verdict.outcome == FAIL
    assert {"auroc", "sensitivity"} <= {
        check.metric for check in judged.verdict.checks if check.outcome == FAIL
    }


def test_drift_of_the_probabilities_is_judged_as_without_own_thresholds(room: _Room) -> None:
    court = replace(room.court, drift=replace(NO_DRIFT_LIMITS, probability=0.02))
    judged = replace(room, court=court).try_(_Network(_raised))
    assert {check.metric for check in judged.verdict.checks if check.outcome == FAIL} == {"probability"}


def test_the_verdict_file_says_which_thresholds_were_used_and_each_flip_the_candidates(room: _Room) -> None:
    from jsonschema import Draft202012Validator

    noisy = room.try_(_Network(lambda value: value + 1.0 + 0.4 * float(np.sin(40 * value))))
    written = json.loads((room.folder / "gate" / "verdict.json").read_text(encoding="utf-8"))
    used = written["operating_points"]
    assert used["refitted"] and used["reference"] == vars(POINTS)
    assert noisy.own is not None and used["candidate"] == vars(noisy.own.images)
    assert used["selection_patients"]["fractured"] >= FEWEST_PATIENTS
    assert written["flips"]
    assert {flip["candidate_threshold"] for flip in written["flips"]} <= set(used["candidate"].values())
    assert not list(Draft202012Validator(verdict_schema()).iter_errors(written))


def test_a_court_that_allows_no_own_thresholds_writes_nothing_of_them(room: _Room) -> None:
    plain = replace(room, court=replace(room.court, selection=None))
    assert plain.try_(_Network(_raised)).own is None
    written = json.loads((room.folder / "gate" / "verdict.json").read_text(encoding="utf-8"))
    assert "operating_points" not in written
    assert all("candidate_threshold" not in flip for flip in written["flips"])
    assert not (room.folder / "gate" / "selection.npz").exists()


def test_answers_on_selection_patients_are_kept_and_made_anew_where_harmed(room: _Room) -> None:
    first = room.try_(_Network(_raised))
    silent = _Network(_raised)
    assert room.try_(silent).own == first.own and silent.asked == 0
    (room.folder / "gate" / "selection.npz").write_bytes(b"harmed")
    asked = _Network(_raised)
    assert room.try_(asked).own == first.own
    assert room.court.selection is not None and asked.asked == len(room.court.selection.cases)


def test_a_candidate_that_answers_no_selection_patient_fails(room: _Room) -> None:
    def answer(value: float) -> float:
        return float("nan") if value in silenced else value

    assert room.court.selection is not None
    silenced = set(room.court.selection.reference.logits.tolist())
    judged = room.try_(_Network(answer))
    assert judged.verdict.outcome == FAIL and judged.verdict.checks[0].metric == "answers"


def test_a_recipe_allows_no_own_thresholds_unless_it_says_so() -> None:
    assert not parse_recipe("", "plain").operating_points.refit
    assert parse_recipe("[operating_points]\nrefit = true", "own").operating_points.refit
