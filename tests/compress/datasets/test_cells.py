from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.cells import OLDEST_YEARS, parse_age, parse_flag, parse_label, parse_sex, parse_side


@pytest.mark.parametrize(
    ("text", "years"),
    [("41", 41), ("041Y", 41), ("10.5", 10.5), ("006M", 0.5), ("7W", 49 / 365.25), ("0", 0), ("", None)],
)
def test_ages_are_years_whatever_they_are_written_in(text: str, years: float | None) -> None:
    assert parse_age(text) == (years if years is None else pytest.approx(years))


@pytest.mark.parametrize("text", ["414", "-3", "old", "12 parsecs", "nan", "٤١"])
def test_an_age_that_no_patient_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="age must be 0 to 120 years"):
        parse_age(text)


@given(st.text(max_size=12))
def test_any_text_is_an_age_in_range_or_refused(text: str) -> None:
    try:
        years = parse_age(text)
    except ValueError:
        return
    assert years is None or 0 <= years <= OLDEST_YEARS


def test_sexes_and_sides_become_words() -> None:
    assert [parse_sex(text) for text in ("M", "female", "o", "", "Unknown")] == [
        "male",
        "female",
        "other",
        "",
        "",
    ]
    assert [parse_side(text) for text in ("L", "RIGHT", "b", "")] == ["left", "right", "both", ""]


@pytest.mark.parametrize("parse", [parse_sex, parse_side, parse_label])
def test_other_words_are_refused(parse: object) -> None:
    with pytest.raises(ValueError, match="got 'maybe'"):
        parse("maybe")  # type: ignore[operator]


def test_an_empty_flag_is_not_set_but_an_empty_label_is_no_label() -> None:
    assert parse_flag("", "metal") == 0
    with pytest.raises(ValueError, match="fractured must be 0 or 1"):
        parse_label("")
