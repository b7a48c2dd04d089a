"""Many subgroups, one error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.subgroups import holm

_P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_adjusted_p_values_of_a_worked_example() -> None:
    """0.005 and 0.01 are rejected at 0.05 / 4 and 0.05 / 3; 0.03 is not at 0.05 / 2, which ends it."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_check_gives_no_p_value() -> None:
    assert len(holm([])) == 0


def _rejected_step_by_step(p_values: list[float], level: float) -> set[int]:
    """Holm's own words: smallest first, each against the level over the number left, until one is not."""
    rejected: set[int] = set()
    for index in np.argsort(p_values, kind="stable").tolist():
        if p_values[index] * (len(p_values) - len(rejected)) >= level:
            break
        rejected.add(index)
    return rejected


@given(_P_VALUES, st.floats(0.001, 0.5))
def test_what_lies_below_the_level_is_what_stepping_down_rejects(p_values: list[float], level: float) -> None:
    found = set(np.flatnonzero(holm(p_values) < level).tolist())
    assert found == _rejected_step_by_step(p_values, level)


@given(_P_VALUES)
def test_no_check_gains_by_company_and_none_loses_more_than_bonferroni_takes(p_values: list[float]) -> None:
    raw, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, raw * max(1, len(raw)))).all()
