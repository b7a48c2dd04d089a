"""A margin is a difference or a share, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.margin import parse_margin


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_number_is_the_same_difference_for_every_reference(value: float, reference: float) -> None:
    assert parse_margin(value).absolute(reference) == value


@given(st.integers(-100, 100), st.floats(0, 1))
def test_a_percentage_is_that_share_of_the_reference(percent: int, reference: float) -> None:
    margin = parse_margin(f"{percent}%")
    assert margin.absolute(reference) == pytest.approx(percent / 100 * reference)
    assert str(margin) == f"{percent}%"


@pytest.mark.parametrize("text", ["", "3", "%", "0.03", "three%", "3 percent", "3%%", "1e1%", "nan%", "٣%"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'must be a number such as 0.02 or a share such as "3%"'):
        parse_margin(text)
