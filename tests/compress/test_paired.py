"""P-values of a loss, from the same score test as the bounds."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from compress.paired import PairedDifference, compare_shares


def _independent(gained: int, lost: int, size: int) -> PairedDifference:
    difference = (gained - lost) / size
    return PairedDifference(0.5, 0.5 + difference, difference, -1.0, 1.0, size, gained, lost, size)


@pytest.mark.parametrize(("gained", "lost"), [(0, 4), (3, 12), (5, 7), (6, 6)])
def test_without_a_margin_the_p_value_is_mcnemars(gained: int, lost: int) -> None:
    z = (lost - gained) / sqrt(lost + gained)
    assert _independent(gained, lost, 100).p_of_loss(0.0) == pytest.approx(norm.sf(z))


@given(
    st.integers(0, 2**31),
    st.integers(2, 60),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-0.5, 0.99),
    st.sampled_from([0.6, 0.9, 0.95, 0.99]),
)
def test_the_p_value_is_small_exactly_where_the_upper_bound_shows_the_loss(
    seed: int, patients: int, before: float, after: float, margin: float, confidence: float
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, patients, 2 * patients).astype(str)
    pair = rng.random(len(ids)) < before, rng.random(len(ids)) < after
    found = compare_shares(*pair, ids, confidence)
    if abs(found.upper + margin) > 1e-9:
        assert (found.p_of_loss(margin) < 1 - confidence) == (found.upper < -margin)


@given(st.integers(0, 2**31), st.lists(st.floats(-0.9, 0.99), min_size=2, max_size=2).map(sorted))
def test_a_larger_loss_is_never_easier_to_show(seed: int, margins: list[float]) -> None:
    rng = np.random.default_rng(seed)
    found = compare_shares(rng.random(50) < 0.9, rng.random(50) < 0.7, np.arange(50).astype(str), 0.95)
    assert found.p_of_loss(margins[0]) <= found.p_of_loss(margins[1]) + 1e-9


def test_nothing_changed_on_few_patients_shows_no_lack_of_a_gain() -> None:
    same, ids = np.ones(8, bool), np.arange(8).astype(str)
    found = compare_shares(same, same, ids, 0.95)
    assert found.p_of_loss(0.05) > 0.5
    assert found.p_of_loss(-0.05) > 0.05
