from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from runtime.quantiles import quantiles

_VALUES = arrays.arrays(
    np.float32,
    st.integers(1, 400),
    elements=st.floats(-1000.0, 1000.0, width=32),
)
_SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4)


@given(_VALUES, _SHARES)
def test_they_are_numpys_own(values: NDArray[np.float32], shares: list[float]) -> None:
    expected = np.quantile(values.astype(np.float64), shares)
    assert quantiles(values, *shares) == pytest.approx(expected.tolist(), rel=1e-6, abs=1e-6)


def test_half_of_the_values_in_one_place_and_one_far_away() -> None:
    values = np.concatenate([np.zeros(50), np.linspace(0, 1, 50), [1e6]]).astype(np.float32)
    shares = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
    assert quantiles(values, *shares) == pytest.approx(np.quantile(values, shares).tolist())


def test_values_as_close_as_numbers_can_be() -> None:
    values = np.array([0, 0, 1e-44, 2e-44], np.float32)
    assert quantiles(values, 0.0, 1.0) == (float(values[0]), float(values[3]))


def test_values_that_are_all_one_have_it_everywhere() -> None:
    assert quantiles(np.full((3, 5), 0.25, np.float32), 0.1, 0.9) == (0.25, 0.25)


def test_a_picture_is_taken_as_a_row_and_not_changed() -> None:
    picture = np.random.default_rng(3).random((31, 17), np.float32)
    before = picture.copy()
    assert quantiles(picture, 0.5)[0] == pytest.approx(float(np.median(picture)))
    assert np.array_equal(picture, before)
