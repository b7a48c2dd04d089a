"""Holes are filled and nothing else; the critic looks at holes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from compress.patches.networks import PatchCritic, PatchGenerator, Wanted, blend, concerned
from runtime.preprocess import PreprocessSpec


def hole(side_px: int, rows: slice, columns: slice, count: int = 2) -> Tensor:
    masks = torch.zeros(count, 1, side_px // 4, side_px // 4)
    masks[:, :, rows, columns] = 1
    return masks


def wanted(masks: Tensor) -> Wanted:
    return Wanted(masks, torch.tensor([1.0, 0.0]), torch.randn(masks.shape))


@pytest.mark.parametrize("side_px", [32, 64])
def test_only_the_hole_and_a_cell_around_it_change(side_px: int) -> None:
    torch.manual_seed(0)
    windows, masks = torch.rand(2, 1, side_px, side_px), hole(side_px, slice(2, 4), slice(3, 5))
    filled = PatchGenerator(4, PreprocessSpec())(windows, wanted(masks))
    changed = (filled != windows)[:, 0]
    assert filled.shape == windows.shape
    assert changed[:, 8:16, 12:20].all()
    changed[:, 4:20, 8:24] = False
    assert not changed.any()


@settings(max_examples=20, deadline=None)
@given(mean=st.floats(0, 1), std=st.floats(0.1, 1), seed=st.integers(0, 99))
def test_pixels_stay_in_the_range_of_preprocessing(mean: float, std: float, seed: int) -> None:
    torch.manual_seed(seed)
    spec = PreprocessSpec(mean=mean, std=std)
    windows = (torch.rand(2, 1, 32, 32) - mean) / std
    filled = PatchGenerator(4, spec)(windows, wanted(hole(32, slice(1, 5), slice(0, 3))))
    unit = filled * std + mean
    assert unit.min() > -1e-4
    assert unit.max() < 1 + 1e-4


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_a_filling_is_whole_where_the_fracture_is_and_fades_out_within_a_cell(cells: int) -> None:
    weight = blend(hole(64, slice(3, 3 + cells), slice(3, 3 + cells)))[0, 0]
    end_px = 12 + 4 * cells
    assert torch.allclose(weight[12:end_px, 12:end_px], torch.tensor(1.0))
    row = weight[12]
    assert not row[:8].any()
    assert not row[end_px + 4 :].any()
    assert (row[8:13].diff() >= 0).all()
    assert row[8:12].any()


def test_detail_under_the_hole_is_not_seen() -> None:
    torch.manual_seed(1)
    generator, masks = PatchGenerator(4, PreprocessSpec()), hole(64, slice(4, 10), slice(4, 10))
    one = torch.rand(2, 1, 64, 64)
    other = one.clone()
    # Swapped within squares of 8 px: coarse brightness is the same.
    other[:, :, 24:32, 24:28], other[:, :, 24:32, 28:32] = one[:, :, 24:32, 28:32], one[:, :, 24:32, 24:28]
    asked = wanted(masks)
    inside = slice(16, 40)
    first, second = generator(one, asked), generator(other, asked)
    assert torch.allclose(first[:, :, inside, inside], second[:, :, inside, inside], atol=1e-4)


def test_the_critic_is_asked_about_holes_alone() -> None:
    masks = hole(64, slice(2, 4), slice(2, 4))
    logits = PatchCritic(4)(torch.rand(2, 1, 64, 64), wanted(masks))
    weights = concerned(masks, logits)
    assert weights.shape == logits.shape
    assert weights.sum().item() == pytest.approx(1)
    assert not weights[:, :, -4:, -4:].any()
