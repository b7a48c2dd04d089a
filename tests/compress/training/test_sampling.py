"""Balanced sampling: turns are taken, nobody is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from compress.training.options import ImbalanceOptions
from compress.training.sampling import balanced_order, cells_of, epoch_order
from runtime.errors import StepError
from tests.compress.networks import spots


@given(
    cells=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    count=st.integers(1, 200),
    seed=st.integers(0, 99),
)
def test_cells_take_turns_and_no_row_comes_again_before_its_whole_cell(
    cells: list[int], count: int, seed: int
) -> None:
    numbers = np.array(cells)
    order = balanced_order(numbers, count, Generator().manual_seed(seed))
    assert len(order) == count
    drawn = [np.count_nonzero(numbers[order] == cell) for cell in np.unique(numbers)]
    assert max(drawn) - min(drawn) <= 1
    for cell, times in zip(np.unique(numbers), drawn, strict=True):
        repeats = np.bincount(order[numbers[order] == cell], minlength=len(cells))[numbers == cell]
        assert repeats.max() - repeats.min() <= 1
        assert repeats.sum() == times


def test_without_sampling_every_image_comes_once() -> None:
    data = spots(40, 48, seed=1)
    order = epoch_order(data, ImbalanceOptions("weight"), Generator().manual_seed(1))
    assert sorted(order) == list(range(40))
    assert list(order) != list(range(40))


def test_a_rare_label_fills_half_of_every_batch() -> None:
    data = spots(64, 48, seed=1)
    data.labels[:] = 0
    data.labels[:5] = 1
    order = epoch_order(data, ImbalanceOptions("sampling"), Generator().manual_seed(1))
    assert data.labels[order].reshape(4, 16).mean(axis=1).tolist() == [0.5] * 4


def test_labels_are_balanced_within_every_body_part() -> None:
    data = spots(60, 48, seed=1)
    parts = np.array(["hand"] * 50 + ["leg"] * 10)
    data = replace(data, strata=parts)
    data.labels[:] = np.arange(60) % 10 == 0
    options = ImbalanceOptions("sampling", balance="label_and_stratum")
    order = epoch_order(data, options, Generator().manual_seed(1))
    for part in ("hand", "leg"):
        own = data.labels[order][parts[order] == part]
        assert own.mean() == 0.5
        assert len(own) == 30
    assert len(np.unique(cells_of(data, "label"))) == 2


def test_balancing_body_parts_without_any_is_refused() -> None:
    with pytest.raises(StepError, match="body part"):
        cells_of(spots(8, 48, seed=1), "label_and_stratum")


def test_the_same_seed_gives_the_same_order() -> None:
    data = spots(30, 48, seed=1)
    orders = [
        epoch_order(data, ImbalanceOptions("sampling"), Generator().manual_seed(seed)).tolist()
        for seed in (3, 3, 4)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_strata_of_another_number_are_refused() -> None:
    data = spots(8, 48, seed=1)
    with pytest.raises(ValueError, match="strata"):
        replace(data, strata=np.array(["hand"] * 7))


@pytest.mark.parametrize(
    "wrong", [{"method": "smote"}, {"balance": "size"}, {"focal_alpha": 1.0}, {"focal_gamma": -1.0}]
)
def test_impossible_ways_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ImbalanceOptions(**wrong)  # type: ignore[arg-type]
