"""Which images quantizers learn from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.calibrating import choose_cases, require_every_part
from compress.datasets.base import Case
from runtime.errors import StepError


def cases_of(parts: dict[str, int]) -> tuple[Case, ...]:
    return tuple(
        Case(f"{part}{n}", f"p{part}{n}", Path("x.png"), n % 2, part)
        for part, count in parts.items()
        for n in range(count)
    )


PARTS = st.dictionaries(
    st.sampled_from(["hand", "leg", "hip", "shoulder", ""]), st.integers(1, 60), min_size=1
)


@given(PARTS, st.integers(5, 120))
def test_every_body_part_gets_its_share_and_at_least_one(parts: dict[str, int], count: int) -> None:
    cases = cases_of(parts)
    chosen = choose_cases(cases, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(cases))
    assert [case for case in cases if case in set(chosen)] == list(chosen), "in the order of the cases"
    for part, size in parts.items():
        exact = size * len(chosen) / len(cases)
        assert max(1, exact - len(parts)) <= Counter(c.body_part for c in chosen)[part] <= exact + 1


def test_images_are_spread_over_the_patients_and_not_the_first_ones() -> None:
    chosen = choose_cases(cases_of({"hand": 101}), 5)
    assert [case.case_id for case in chosen] == ["hand0", "hand25", "hand50", "hand75", "hand100"]


def test_a_body_part_of_the_gate_that_no_image_shows_is_refused_with_its_name() -> None:
    chosen, gate = cases_of({"hand": 50}), cases_of({"hand": 30, "hip": 10, "leg": 10})
    with pytest.raises(StepError, match=r"hip \(10 of 50 gate images\), leg \(10 of 50 gate images\)"):
        require_every_part(chosen, gate)


def test_a_body_part_that_hardly_anybody_is_asked_of_is_not_missed() -> None:
    require_every_part(cases_of({"hand": 50}), cases_of({"hand": 99, "hip": 1}))
