"""Maps on a grid: means over equal areas, whatever the size of the map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from runtime.map_grid import MapError, compare, pool

_SIDES = st.integers(1, 20)
_MAPS = st.tuples(_SIDES, _SIDES).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-50, 50, width=32))
)


def test_cells_that_no_line_cuts_are_averaged_block_by_block() -> None:
    evidence = np.arange(28 * 14, dtype=np.float32).reshape(28, 14)
    blocks = evidence.reshape(7, 4, 7, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(pool(evidence, 7, 7), blocks)


def test_a_cell_that_a_line_cuts_counts_on_both_sides_by_its_share() -> None:
    np.testing.assert_allclose(pool(np.array([[0.0, 3.0, 6.0]]), 1, 2), [[1.0, 5.0]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3)], ids=str)
def test_a_map_of_fewer_cells_than_the_grid_is_spread_over_it(shape: tuple[int, int]) -> None:
    evidence = np.random.default_rng(1).normal(size=shape)
    grid = pool(evidence, 18, 18)
    np.testing.assert_allclose(grid, np.kron(evidence, np.ones((18 // shape[0], 18 // shape[1]))))


@given(_MAPS, _SIDES, _SIDES)
def test_no_evidence_is_lost_or_invented(evidence: NDArray[np.float32], rows: int, columns: int) -> None:
    grid = pool(evidence, rows, columns)
    assert grid.shape == (rows, columns)
    assert grid.mean() == pytest.approx(evidence.astype(np.float64).mean(), abs=1e-9)
    assert float(evidence.min()) - 1e-9 <= grid.min() and grid.max() <= float(evidence.max()) + 1e-9


@given(_MAPS)
def test_a_mirrored_or_transposed_map_is_that_on_the_grid(evidence: NDArray[np.float32]) -> None:
    grid = pool(evidence, 7, 7)
    for found, wanted in (
        (evidence.T, grid.T),
        (evidence[::-1], grid[::-1]),
        (evidence[:, ::-1], grid[:, ::-1]),
    ):
        np.testing.assert_allclose(pool(found, 7, 7), wanted, atol=1e-9)


@given(_MAPS, st.integers(0, 6), st.integers(0, 4), st.floats(0.5, 9))
def test_the_worst_cell_is_found_with_its_place(
    evidence: NDArray[np.float32], row: int, column: int, by: float
) -> None:
    expected = pool(evidence, 7, 5)
    assert compare(evidence, expected.tolist()).error == 0
    expected[row, column] += by
    found = compare(evidence, expected.tolist())
    assert (found.row, found.column, found.grid) == (row, column, (7, 5))
    assert found.error == pytest.approx(by)


def test_people_count_from_one() -> None:
    assert MapError(0.5, 1, 3, (7, 7)).place == "row 2, column 4 of 7 x 7"
