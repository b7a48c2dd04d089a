"""What is said of a patient leaves as numbers and words of ours, or not at all."""

from __future__ import annotations

import pytest

from device_app.export.told import Told, told
from runtime.metadata import PatientFacts
from runtime.radiograph import AcquisitionFacts

NOTHING = AcquisitionFacts()


@pytest.mark.parametrize(
    ("age", "years"),
    [("41", 41), ("10.9", 10), ("006M", 0), ("089Y", 89), ("90", 90), ("104Y", 90), ("Jane", None),
     ("-3", None), ("", None), ("1e9", None), ("130", None)],
)  # fmt: skip
def test_ages_are_whole_years_and_the_oldest_are_one(age: str, years: int | None) -> None:
    assert told(PatientFacts(age=age), NOTHING).age_years == years


def test_what_is_no_word_of_ours_is_left_out() -> None:
    said = PatientFacts(age="Jane", sex="Jane Doe", body_part="Jane Doe", view="Jane")
    file = AcquisitionFacts(body_part="doe jane", view="jane", laterality="jane", sex="jane")
    assert told(said, file) == Told()


def test_a_name_beside_a_word_of_ours_is_left_out() -> None:
    found = told(PatientFacts(body_part="Jane Doe's left wrist", view="lat"), NOTHING)
    assert (found.body_part, found.view) == ("wrist", "lateral")


def test_a_person_goes_before_the_file_and_the_file_before_nothing() -> None:
    file = AcquisitionFacts(age_years=70.0, sex="male", body_part="hand", view="frontal", laterality="left")
    assert told(PatientFacts(age="30", sex="female"), file) == Told(30, "female", "hand", "frontal", "left")
    assert told(PatientFacts(age="unknown", sex="?"), file) == Told(70, "male", "hand", "frontal", "left")


def test_several_parts_are_an_extremity() -> None:
    assert told(PatientFacts(body_part="hand and wrist"), NOTHING).body_part == "extremity"
