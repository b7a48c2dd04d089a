from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.base import FractionBox
from compress.datasets.boxes import clipped, iou, same_places

fractions = st.floats(0, 1).map(lambda value: round(value, 4))


@st.composite
def boxes(draw: st.DrawFn) -> FractionBox:
    x0, x1 = sorted(draw(st.lists(fractions, min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(fractions, min_size=2, max_size=2, unique=True)))
    return x0, y0, x1, y1


@given(boxes(), st.floats(1, 5000), st.floats(1, 5000))
def test_a_box_inside_the_image_keeps_its_place_in_any_unit(
    box: FractionBox, width: float, height: float
) -> None:
    scaled = [value * size for value, size in zip(box, (width, height) * 2, strict=True)]
    assert clipped(scaled, width, height) == pytest.approx(box)


@given(st.lists(st.floats(), max_size=6), st.floats(), st.floats())
def test_whatever_comes_out_is_a_box_within_the_image(
    corners: list[float], width: float, height: float
) -> None:
    try:
        x0, y0, x1, y1 = clipped(corners, width, height)
    except ValueError:
        return
    assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_a_box_drawn_over_the_edge_ends_at_the_edge() -> None:
    assert clipped((-2, 10, 38, 50), 40, 40) == (0, 0.25, 0.95, 1)


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((50, 0, 60, 10), "outside the image"),
        ((-30, 0, 10, 10), "for the most part outside"),
        ((5, 5, 5, 9), "no area"),
        ((9, 5, 5, 9), "no area"),
        ((0, 0, math.nan, 1), "not four finite numbers"),
        ((0, 0, 1), "not four finite numbers"),
    ],
)
def test_what_is_no_box_is_refused_with_the_reason(corners: tuple[float, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        clipped(corners, 40, 40)


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_full_only_with_itself(first: FractionBox, second: FractionBox) -> None:
    assert iou(first, second) == pytest.approx(iou(second, first))
    assert iou(first, first) == pytest.approx(1)
    assert 0 <= iou(first, second) <= 1 + 1e-9


def test_overlap_of_two_halves_that_share_a_quarter() -> None:
    assert iou((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)


def test_the_same_boxes_in_another_order_are_the_same_places() -> None:
    one, other = (0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9)
    assert same_places([one, other], [other, one])
    assert not same_places([one, other], [one, one])
    assert not same_places([one], [one, other])
