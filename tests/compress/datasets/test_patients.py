from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.base import Case
from compress.datasets.patients import said_of_unnamed, stand_in

drafts_of = st.lists(st.tuples(st.sampled_from(["", "p1", "p2"]), st.sampled_from(["", "s1", "s2", "s3"])))


def drafts(*named: tuple[str, str]) -> list[Case]:
    """Cases c0, c1, ... of (patient, study)."""
    return [
        Case(f"c{number}", patient, Path(f"{number}.png"), 0, "hand", study_id=study)
        for number, (patient, study) in enumerate(named)
    ]


@given(drafts_of)
def test_a_study_is_never_divided_unless_it_names_two_patients(named: list[tuple[str, str]]) -> None:
    found = stand_in(drafts(*named))
    assert [bool(patient) for patient, _ in named] == [
        c.patient_id == p != "" for c, (p, _) in zip(found.cases, named, strict=True)
    ]
    for study in {study for _, study in named if study}:
        units = {case.patient_id for case in found.cases if case.study_id == study}
        if len({patient for patient, own in named if own == study and patient}) < 2:
            assert len(units) == 1
        else:
            unnamed = [c for c, (p, own) in zip(found.cases, named, strict=True) if own == study and not p]
            assert {case.case_id for case in unnamed} <= {problem.case_id for problem in found.problems}


@given(drafts_of)
def test_those_who_stand_under_their_study_are_named(named: list[tuple[str, str]]) -> None:
    found = stand_in(drafts(*named))
    known = {study for patient, study in named if patient}
    wanted = {f"c{n}" for n, (p, study) in enumerate(named) if not p and study and study not in known}
    assert found.by_study == wanted


def test_an_image_without_a_patient_is_of_the_one_whom_its_study_names_elsewhere() -> None:
    found = stand_in(drafts(("p1", "s1"), ("", "s1"), ("", "s2"), ("", "")))
    assert [case.patient_id for case in found.cases] == ["p1", "p1", "s2", "c3"]
    assert found.by_study == {"c2"} and not found.problems


def test_a_study_of_two_patients_cannot_say_whose_an_image_is() -> None:
    (problem,) = stand_in(drafts(("p2", "s1"), ("p1", "s1"), ("", "s1"))).problems
    assert problem.text == "'c2' names no patient, and its study 's1' is of several: 'p1', 'p2'"
    assert problem.case_id == "c2"


@pytest.mark.parametrize(
    ("has_patients", "by_study", "words"),
    [
        (False, 0, "names no patients: every image counts as a patient, so"),
        (False, 9, "names no patients: every study counts as a patient, so"),
        (
            False,
            7,
            "every study counts as a patient, and without a study every image counts as a patient (2 do)",
        ),
        (True, 4, "names no patient of 4 images: their study counts as a patient"),
    ],
)
def test_what_counts_as_a_patient_is_said(has_patients: bool, by_study: int, words: str) -> None:
    assert words in said_of_unnamed(has_patients, by_study, 9)


def test_nothing_is_said_where_every_image_has_its_patient() -> None:
    assert not said_of_unnamed(True, 0, 9)
