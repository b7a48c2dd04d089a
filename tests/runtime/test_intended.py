"""Patients and views that a model was not made for, and those of whom nothing is said."""

from __future__ import annotations

import pytest

from runtime.findings import RefusalCode
from runtime.intended import Eligibility, judge_use
from runtime.metadata import NOTHING_SAID, PatientFacts

ADULTS = (18.0, 65.0)


@pytest.mark.parametrize(
    "said", [NOTHING_SAID, PatientFacts(age="3", view="oblique")], ids=["nothing", "much"]
)
def test_a_bundle_that_says_nothing_is_made_for_everyone(said: PatientFacts) -> None:
    assert judge_use(said, None, ()) == Eligibility()


@pytest.mark.parametrize("age", ["18", "018Y", "40.5", "65", "65.9"])
def test_ages_within_pass_and_the_last_year_counts_whole(age: str) -> None:
    assert judge_use(PatientFacts(age=age), ADULTS, ()) == Eligibility()


@pytest.mark.parametrize("age", ["17.9", "006M", "012D", "0", "66", "104"])
def test_ages_outside_are_refused_with_both_named(age: str) -> None:
    refusal = judge_use(PatientFacts(age=age), ADULTS, ()).refusal

    assert refusal is not None and refusal.code is RefusalCode.AGE
    assert "18 to 65 years" in refusal.message and "age is wrong" in refusal.advice


@pytest.mark.parametrize(
    ("age", "is_within"), [("0", True), ("006M", True), ("007M", False), ("014M", False), ("1", False)]
)
def test_an_oldest_age_within_a_year_is_no_whole_year(age: str, is_within: bool) -> None:
    assert (judge_use(PatientFacts(age=age), (0.0, 0.5), ()).refusal is None) is is_within


@pytest.mark.parametrize("age", ["17.996", "17.99999"])
def test_an_age_just_below_is_not_told_as_the_youngest(age: str) -> None:
    refusal = judge_use(PatientFacts(age=age), ADULTS, ()).refusal

    assert refusal is not None and f"{age} years old" in refusal.message


@pytest.mark.parametrize("age", ["", "old", "-3", "400"])
def test_an_age_that_is_not_known_only_warns(age: str) -> None:
    found = judge_use(PatientFacts(age=age), ADULTS, ())

    assert found.refusal is None
    assert "not known" in found.warnings[0] and "18 to 65" in found.warnings[0]


@pytest.mark.parametrize("view", ["frontal", "PA", "frontal+oblique", "Lateral "])
def test_views_that_the_model_was_made_for_pass_by_any_name(view: str) -> None:
    assert judge_use(PatientFacts(view=view), None, ("frontal", "lateral")) == Eligibility()


def test_another_view_is_refused_and_one_without_a_known_name_only_warns() -> None:
    refusal = judge_use(PatientFacts(view="LAO"), None, ("frontal", "lateral")).refusal
    warned = judge_use(PatientFacts(view="axial"), None, ("frontal", "lateral"))
    unknown = judge_use(NOTHING_SAID, None, ("frontal", "lateral"))

    assert refusal is not None and refusal.code is RefusalCode.VIEW
    assert "oblique" in refusal.message and "frontal, lateral" in refusal.message
    assert warned.refusal is None and "'axial'" in warned.warnings[0]
    assert unknown.refusal is None and "not known" in unknown.warnings[0]


def test_all_that_is_not_known_is_told() -> None:
    assert len(judge_use(NOTHING_SAID, ADULTS, ("frontal",)).warnings) == 2
