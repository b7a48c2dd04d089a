"""From logits to a probability and to places in the source image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InferenceError
from runtime.postprocess import EVIDENCE_LONG_SIDE_PX, LocateOptions, locate, probability
from runtime.preprocess import Placement, place

SIDES = st.integers(1, 3000)
MAPS = st.builds(
    lambda rows, columns, seed, scale: (
        np.random.default_rng(seed).normal(size=(rows, columns)) * scale
    ).astype(np.float32),
    st.integers(1, 16),
    st.integers(1, 16),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.01, 1.0, 50.0, 1e4]),
)


@pytest.mark.parametrize(("logit", "expected"), [(0, 0.5), (1000, 1.0), (-1000, 0.0), (math.log(3), 0.75)])
def test_probability_is_the_logistic_function_at_any_size(logit: float, expected: float) -> None:
    assert probability(logit) == pytest.approx(expected)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_an_error(logit: float) -> None:
    with pytest.raises(InferenceError):
        probability(logit)


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_probability_rises_with_the_logit(one: float, other: float) -> None:
    assert (probability(one) <= probability(other)) or one > other


@given(MAPS, SIDES, SIDES, st.integers(16, 512))
def test_boxes_lie_inside_the_image_and_there_is_always_one(
    logits: np.ndarray, height: int, width: int, size: int
) -> None:
    boxes, evidence = locate(logits, place(height, width, size))

    assert boxes
    for box in boxes:
        assert 0 <= box.x0_px < box.x1_px <= width
        assert 0 <= box.y0_px < box.y1_px <= height
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    assert evidence.dtype == np.float32
    assert evidence.min() >= 0 and evidence.max() <= 1
    assert max(evidence.shape) <= min(EVIDENCE_LONG_SIDE_PX, max(height, width))


@given(SIDES, SIDES, st.integers(16, 512), st.floats(0, 1), st.floats(0, 1))
def test_a_point_in_the_source_maps_to_the_input_and_back(
    height: int, width: int, size: int, across: float, down: float
) -> None:
    placement = place(height, width, size)
    x, y = placement.to_source(*placement.to_input(across * width, down * height))

    assert x == pytest.approx(across * width, abs=1e-6 * max(1, width))
    assert y == pytest.approx(down * height, abs=1e-6 * max(1, height))


@pytest.mark.parametrize(("height", "width"), [(400, 400), (400, 250), (130, 500)])
@pytest.mark.parametrize(("across", "down"), [(0.2, 0.3), (0.5, 0.5), (0.9, 0.85)])
def test_a_peak_is_boxed_where_it_lies_in_the_source(
    height: int, width: int, across: float, down: float
) -> None:
    placement = place(height, width, 320)
    x, y = across * width, down * height
    boxes, evidence = locate(_peak_at(placement, x, y), placement)

    assert len(boxes) == 1
    assert boxes[0].x0_px <= x <= boxes[0].x1_px
    assert boxes[0].y0_px <= y <= boxes[0].y1_px
    row, column = np.unravel_index(evidence.argmax(), evidence.shape)
    assert (column + 0.5) / evidence.shape[1] == pytest.approx(across, abs=0.08)
    assert (row + 0.5) / evidence.shape[0] == pytest.approx(down, abs=0.08)


def test_evidence_in_the_padding_makes_no_box() -> None:
    placement = place(400, 100, 320)  # 80 px of image between two bars of 120 px
    logits = np.full((20, 20), -4, np.float32)
    logits[:, :6] = 9
    logits[10, 10] = 3
    boxes, evidence = locate(logits, placement)

    assert len(boxes) == 1
    assert boxes[0].score == pytest.approx(probability(3), abs=0.03)
    assert evidence.max() <= probability(3)


def test_two_places_give_two_boxes_and_a_much_weaker_third_none() -> None:
    placement = place(320, 320, 320)
    logits = np.zeros((32, 32), np.float32)
    logits[4, 4], logits[25, 25], logits[4, 25] = 8, 7, 2
    boxes, _ = locate(logits, placement)

    assert [(round(box.x0_px / 10), round(box.y0_px / 10)) for box in boxes] == [(4, 4), (25, 25)]
    assert len(locate(logits, placement, LocateOptions(max_boxes=1))[0]) == 1


def test_a_box_holds_the_summit_of_a_hill_and_not_its_slopes() -> None:
    """A cone of 100 px: cut at three quarters of its height it is 50 px wide, up to the cells of 5 px."""
    placement = place(320, 320, 320)
    rows, columns = np.mgrid[0:64, 0:64] * 5 + 2.5
    cone = np.maximum(0, 100 - np.hypot(columns - 160, rows - 160)).astype(np.float32)
    (box,) = locate(cone, placement)[0]

    assert box.x1_px - box.x0_px == pytest.approx(50, abs=8)
    assert box.y1_px - box.y0_px == pytest.approx(50, abs=8)
    (wide,) = locate(cone, placement, LocateOptions(cut=0.5))[0]
    assert wide.x1_px - wide.x0_px == pytest.approx(100, abs=8)


def test_a_box_is_never_finer_than_a_cell_of_the_map() -> None:
    logits = np.zeros((8, 8), np.float32)
    logits[3, 3] = 5
    (box,) = locate(logits, place(800, 800, 320))[0]

    assert box.x1_px - box.x0_px >= 100 and box.y1_px - box.y0_px >= 100


def test_a_flat_map_boxes_the_whole_image() -> None:
    (box,) = locate(np.zeros((7, 7), np.float32), place(300, 200, 224))[0]

    assert (box.x0_px, box.y0_px, box.x1_px, box.y1_px) == (0, 0, 200, 300)


@pytest.mark.parametrize(
    "logits",
    [
        np.array([[0, np.nan]], np.float32),
        np.array([[np.inf]], np.float32),
        np.zeros((0, 3)),
        np.zeros((1, 3, 3)),
    ],
)
def test_a_map_that_is_none_is_an_error(logits: np.ndarray) -> None:
    with pytest.raises(InferenceError):
        locate(logits, place(100, 100, 64))


def _peak_at(placement: Placement, x_px: float, y_px: float, cells: int = 40) -> np.ndarray:
    """A smooth hill on the map above one point of the source."""
    x, y = placement.to_input(x_px, y_px)
    cell = placement.size_px / cells
    rows, columns = np.mgrid[0:cells, 0:cells] + 0.5
    squared = (columns - x / cell) ** 2 + (rows - y / cell) ** 2
    return (6 * np.exp(-squared / 4) - 3).astype(np.float32)
