"""Boxes as masks, in the right place whatever the image's shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.training.data import LabelledTensors, box_mask, label, outline_mask
from runtime.preprocess import Placement, PreprocessSpec, place


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x0, x1 = draw(intervals())
    y0, y1 = draw(intervals())
    return x0, y0, x1, y1


@st.composite
def intervals(draw: st.DrawFn) -> tuple[float, float]:
    """Inside the image, as the tables of cases demand; as narrow as a thousandth of it."""
    length = draw(st.floats(1e-3, 1))
    start = draw(st.floats(0, 1 - length))
    return start, min(start + length, 1.0)


@given(box=boxes(), height_px=st.integers(20, 900), width_px=st.integers(20, 900))
def test_every_box_marks_the_cell_of_its_centre(
    box: tuple[float, float, float, float], height_px: int, width_px: int
) -> None:
    placement = place(height_px, width_px, 64)
    mask = box_mask((box,), placement)
    x = min((box[0] + box[2]) / 2, 0.999) * width_px
    y = min((box[1] + box[3]) / 2, 0.999) * height_px
    x_px, y_px = placement.to_input(x, y)
    assert mask[min(int(y_px / 4), 15), min(int(x_px / 4), 15)] == 1


@given(box=boxes())
def test_no_cell_is_marked_that_a_box_does_not_touch(box: tuple[float, float, float, float]) -> None:
    placement = place(64, 64, 64)
    rows, columns = np.nonzero(box_mask((box,), placement))
    assert rows.min() + 1 >= box[1] * 16 - 1e-6
    assert columns.min() + 1 >= box[0] * 16 - 1e-6
    assert rows.max() <= box[3] * 16 + 1e-6
    assert columns.max() <= box[2] * 16 + 1e-6


def test_no_box_is_an_empty_mask_and_two_boxes_are_both_there() -> None:
    placement = place(64, 64, 64)
    assert not box_mask((), placement).any()
    both = box_mask(((0, 0, 0.1, 0.1), (0.9, 0.9, 1, 1)), placement)
    assert both[0, 0] == both[15, 15] == 1
    assert both.sum() < 20


def test_a_wide_image_lies_in_the_middle_rows() -> None:
    mask = box_mask(((0, 0, 1, 1),), place(32, 64, 64))
    assert mask[4:12].all()
    assert not mask[:4].any()
    assert not mask[12:].any()


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    tensors = np.zeros((3, 1, 32, 32), np.float32)
    with pytest.raises(ValueError, match="must be"):
        LabelledTensors(tensors, np.zeros(2, np.float32), np.zeros((3, 8, 8), np.uint8))


@given(box=boxes(), height_px=st.integers(20, 900), width_px=st.integers(20, 900))
def test_the_outline_of_a_box_is_the_box_to_within_a_cell(
    box: tuple[float, float, float, float], height_px: int, width_px: int
) -> None:
    placement = place(height_px, width_px, 64)
    x0, y0, x1, y1 = box
    outlined = outline_mask([((x0, y0), (x1, y0), (x1, y1), (x0, y1))], placement)
    boxed = box_mask((box,), placement)
    assert not (outlined & ~grown(boxed)).any()
    assert not (boxed & ~grown(outlined)).any()


def grown(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One cell larger on every side."""
    wide = np.pad(mask, 1)
    shifts = [wide[y : y + len(mask), x : x + len(mask)] for y in range(3) for x in range(3)]
    return np.maximum.reduce(shifts)


def test_an_outline_is_tighter_than_its_box_and_two_are_both_there() -> None:
    placement = place(64, 64, 64)
    triangle = ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9))
    mask = outline_mask([triangle], placement)
    assert mask[3, 3] == 1
    assert mask[12, 12] == 0
    assert 0.4 < mask.sum() / box_mask(((0.1, 0.1, 0.9, 0.9),), placement).sum() < 0.75
    both = outline_mask([triangle, ((0.9, 0.9), (0.95, 0.9), (0.95, 0.95))], placement)
    assert both[3, 3] == both[14, 14] == 1


class Source:
    """Two blank images."""

    spec = PreprocessSpec(size_px=64)

    def rows(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        return np.zeros((len(cases), 1, 64, 64), np.float32)

    def placement(self, case: Case) -> Placement:
        return place(64, 64, 64)


def test_a_case_with_an_outline_takes_it_and_another_its_box_and_both_their_body_part() -> None:
    box = ((0.0, 0.0, 1.0, 1.0),)
    cases = [Case(name, name, Path(name), 1, part, boxes=box) for name, part in (("a", "hand"), ("b", "leg"))]
    labelled = label(Source(), cases, {"a": (((0.1, 0.1), (0.4, 0.1), (0.1, 0.4)),)})
    assert labelled.masks[0].mean() < 0.2
    assert labelled.masks[1].all()
    assert labelled.strata is not None
    assert labelled.strata.tolist() == ["hand", "leg"]
