"""What gives way for want of room, in which order, and that it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from device_app import create_app
from device_app.report.fit import HEIGHT_MM, LADDER, cut, fitted, fitting, height_mm
from device_app.report.sheet import Picture, Row, Sheet, Spoken, View

PICTURE = Picture("/a.png", 400, 520)
SHORT = Sheet(
    title="X-ray report",
    clinic="Clinic",
    patient="P 1",
    facts=(Row("Taken in", "1 Jan 2026, 12:00"),),
    state="fracture",
    sign="fracture",
    headline="Fracture suspected",
    meaning=("The picture shows signs of a broken bone.",),
    stored="",
    steps=("Keep the injured part still.", "Show the picture to a clinician."),
    sure=("The score is 96.7 of 100.",),
    views=(View(1, "fracture", "Fracture suspected", picture=PICTURE),),
    more=(),
    warnings=(),
    said=(),
    technical=(Row("Model", "gap-finder 1.0.0"),),
    printed="Printed 1 Jan 2026 by Asha",
)
LONG = replace(
    SHORT,
    patient="W" * 80,
    clinic="M" * 80,
    views=tuple(
        View(number, "fracture", "Fracture suspected", "forearm, lateral", ("Some remark. " * 8,), PICTURE)
        for number in range(1, 5)
    ),
    warnings=tuple(f"{number} " + "Something is wrong with the picture. " * 6 for number in range(8)),
    said=tuple(
        Spoken("Second reading: Not sure", f"Person {number}", "w" * 300, final=number == 3)
        for number in range(20)
    ),
    left_out=("Pictures of 4 views",),
)


@pytest.fixture(autouse=True)
def request_for_its_language(config, store) -> Iterator[None]:
    with create_app(config).test_request_context("/"):
        yield


def test_little_has_large_letters_and_a_large_picture_and_nothing_is_left_out() -> None:
    sheet = fitting(SHORT)[0]
    assert sheet.fit in LADDER[:3] and sheet == replace(SHORT, fit=sheet.fit)


def test_each_step_takes_no_more_room_than_the_one_before() -> None:
    for sheet in (SHORT, LONG):
        heights = [height_mm(fitted(sheet, fit)) for fit in LADDER]
        assert all(later <= earlier for earlier, later in pairwise(heights))


def test_the_longest_fits_and_keeps_every_answer_reason_step_and_the_outcome() -> None:
    sheet = fitting(LONG)[0]
    assert height_mm(sheet) <= HEIGHT_MM
    for name in ("headline", "meaning", "steps", "sure", "views", "more", "patient", "clinic", "technical"):
        assert getattr(sheet, name) == getattr(LONG, name)
    assert [one.who for one in sheet.said if one.final] == ["Person 3"]


def test_what_is_left_out_is_named_after_what_was_already() -> None:
    sheet = fitted(LONG, LADDER[-1])
    assert sheet.left_out == (
        "Pictures of 4 views",
        "Warnings: 6 more",
        "The ends of long warnings",
        "Readings of people: 18 older ones",
        "The ends of long remarks",
    )
    assert [one.who for one in sheet.said] == ["Person 3", "Person 19"]
    assert len(sheet.warnings) == 2 and all(len(one.note) == 60 for one in sheet.said)


def test_a_long_warning_is_cut_and_that_is_said_too() -> None:
    one = replace(SHORT, warnings=("Wrong. " * 100,))
    sheet = fitted(one, LADDER[-1])
    assert sheet.warnings[0].endswith("…") and sheet.left_out == ("The ends of long warnings",)


def test_pictures_and_letters_give_way_before_words_do() -> None:
    whole = [fit for fit in LADDER if fitted(LONG, fit).left_out == LONG.left_out]
    assert whole == list(LADDER[: len(whole)]) and len(whole) >= 6
    assert all(a.picture_mm >= b.picture_mm and a.text_pt >= b.text_pt for a, b in pairwise(LADDER))


@pytest.mark.parametrize(("text", "chars", "expected"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, "")])
def test_a_cut_text_says_that_it_was(text: str, chars: int, expected: str) -> None:
    assert cut(text, chars) == expected
