"""The loop alone: what is asked, in which order, and what ends it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.checks import Check
from compress.fallback.options import FallbackOptions, confidence_of_look
from compress.fallback.search import Found, Screen, Try, search, stages
from compress.gate import Verdict, gate
from compress.options.gate import Margins
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort, perturbed

NAMES = tuple(f"layer {number}" for number in range(20))
GOOD, BAD = Screen("pass", True, {}), Screen("fail", False, {})


@dataclass
class Recorder:
    """Screens pass from `enough` groups on; looks answer in turn. calls: what was asked, in order."""

    enough: int
    answers: tuple[str, ...] = ("pass",)
    calls: list[tuple[str, int]] = field(default_factory=list)
    known: list[int] = field(default_factory=list)

    def screen(self, groups: tuple[str, ...]) -> Screen:
        self.calls.append(("screen", len(groups)))
        return GOOD if len(groups) >= self.enough else BAD

    def look(self, tried: Try, before: tuple[Try, ...]) -> str:
        self.calls.append(("look", len(tried.groups)))
        self.known.append(len(before))
        return self.answers[tried.look - 2]

    def run(self, budget: int, looks: int = 2, ranking: tuple[str, ...] = NAMES) -> Found:
        return search(ranking, FallbackOptions(budget, looks), self.screen, self.look)


def test_the_gate_is_asked_for_nothing_before_selection_patients_promise_it() -> None:
    recorder = Recorder(enough=4)
    found = recorder.run(budget=16)
    assert recorder.calls == [("screen", 1), ("screen", 2), ("screen", 4), ("look", 4)]
    assert recorder.known == [2]
    assert found.restored == NAMES[:4]
    assert [item.outcome for item in found.tries] == ["", "", "pass"]
    assert [item.look for item in found.tries] == [0, 0, 2]


def test_the_budget_ends_it_without_a_look() -> None:
    recorder = Recorder(enough=7)
    found = recorder.run(budget=6)
    assert recorder.calls == [("screen", count) for count in (1, 2, 4, 6)]
    assert (found.restored, found.why) == ((), "the budget of 6 groups is spent")


def test_a_gate_that_still_fails_ends_it_when_the_looks_are_spent_and_nothing_is_restored() -> None:
    recorder = Recorder(enough=1, answers=("fail",))
    found = recorder.run(budget=16)
    assert recorder.calls == [("screen", 1), ("look", 1)]
    assert (found.restored, found.why) == ((), "all 2 looks at the gate are spent")


def test_a_further_look_is_at_more_groups_than_the_last() -> None:
    recorder = Recorder(enough=2, answers=("inconclusive", "pass"))
    found = recorder.run(budget=16, looks=3)
    assert [call for call in recorder.calls if call[0] == "look"] == [("look", 2), ("look", 4)]
    assert (found.restored, found.why) == (NAMES[:4], "passed at look 3")


def test_what_is_not_faster_than_float_ends_it() -> None:
    found = Recorder(enough=1, answers=("not faster", "pass")).run(budget=16, looks=3)
    assert found.restored == ()
    assert "not shown to be faster" in found.why


def test_without_a_group_that_helps_nothing_is_tried() -> None:
    recorder = Recorder(enough=0)
    assert recorder.run(budget=4, ranking=()).why == "no group alone in float lowers the error"
    assert recorder.calls == []


def test_every_group_that_helps_may_be_less_than_the_budget() -> None:
    found = Recorder(enough=9).run(budget=8, ranking=NAMES[:3])
    assert [len(item.groups) for item in found.tries] == [1, 2, 3]
    assert found.why == "every group that lowers the error is in float"


@given(most=st.integers(0, 300))
def test_stages_rise_to_the_budget_and_never_beyond(most: int) -> None:
    found = stages(most)
    assert list(found) == sorted(set(found))
    assert (found[-1] if found else 0) == most


@given(confidence=st.floats(0.6, 0.99), looks=st.integers(2, 30))
def test_all_looks_together_err_less_than_twice_as_often_as_the_first(confidence: float, looks: int) -> None:
    errors = [1 - confidence_of_look(confidence, look) for look in range(1, looks + 1)]
    assert errors[0] == pytest.approx(1 - confidence)
    assert sum(errors) < 2 * errors[0]


def _verdict(noise: float, margin: float, patients: int = 40) -> Verdict:
    rng = np.random.default_rng(3)
    reference = cohort(rng, CohortOptions(patients=patients))
    return gate(
        reference,
        perturbed(rng, reference, noise),
        OperatingPoints(0.3, 0.7),
        Margins(margin, margin, margin),
    )


def test_few_patients_without_a_loss_are_worth_a_look_and_a_shown_loss_is_not() -> None:
    unsure = _verdict(0.0001, 0.04)
    assert unsure.outcome == "inconclusive"
    assert Screen.of(unsure).promising
    assert not Screen.of(_verdict(5.0, 0.04)).promising


@pytest.mark.parametrize(("difference", "promising"), [(-0.009, True), (-0.011, False), (None, False)])
def test_half_of_the_margin_lost_is_too_much_and_so_is_what_was_not_measured(
    difference: float | None, promising: bool
) -> None:
    check = Check("auroc", "inconclusive", 0.02, difference=difference)
    verdict = replace(_verdict(0.0001, 0.04), checks=(check,))
    assert Screen.of(verdict).promising is promising
