import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.localisation import boxes_hit, intersection, iou, mean_iou, peak_hits
from compress.predictions import HIT, MISSED, NOT_ASKED
from runtime.findings import Box

_TRUE = ((0.4, 0.2, 0.6, 0.3),)
"""On a plate 200 wide and 400 high: pixels (80, 80) to (120, 120)."""


def test_without_true_boxes_nobody_is_asked() -> None:
    assert peak_hits(np.zeros((4, 4), np.float32), ()) == NOT_ASKED
    assert boxes_hit([Box(0, 0, 5, 5, 0.9)], (), 10, 10) == NOT_ASKED


def test_nothing_shown_is_a_miss() -> None:
    assert boxes_hit([], _TRUE, 200, 400) == MISSED


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (Box(90, 90, 110, 110, 0.5), HIT),
        (Box(60, 60, 130, 130, 0.5), HIT),
        (Box(112, 112, 160, 160, 0.5), MISSED),
        (Box(0, 0, 200, 400, 0.5), MISSED),
        (Box(0, 300, 40, 340, 0.5), MISSED),
    ],
)
def test_a_box_must_overlap_the_fracture_and_not_merely_cover_the_plate(shown: Box, expected: int) -> None:
    assert boxes_hit([shown], _TRUE, 200, 400) == expected


def test_only_the_best_box_counts() -> None:
    good, bad = Box(90, 90, 110, 110, 0.4), Box(0, 300, 40, 340, 0.9)
    assert boxes_hit([good, bad], _TRUE, 200, 400) == MISSED
    assert boxes_hit([bad, good, Box(85, 85, 115, 115, 0.95)], _TRUE, 200, 400) == HIT


def test_the_evidence_s_peak_may_lie_a_little_beside_the_box() -> None:
    # On 96 x 192 cells the box is rows and columns 38.4 to 57.6; 3% of the long side are 5.76 cells.
    for row, column, expected in ((48, 48, HIT), (48, 62, HIT), (48, 64, MISSED), (5, 5, MISSED)):
        evidence = np.zeros((192, 96), np.float32)
        evidence[row, column] = 1.0
        assert peak_hits(evidence, _TRUE) == expected


def test_the_overlap_is_a_mean_over_the_true_boxes() -> None:
    exact, half = Box(80, 80, 120, 120, 0.5), Box(80, 80, 120, 160, 0.9)
    two = (*_TRUE, (0.0, 0.9, 0.1, 1.0))
    assert mean_iou([exact], _TRUE, 200, 400) == pytest.approx(1)
    assert mean_iou([half], _TRUE, 200, 400) == pytest.approx(0.5)
    assert mean_iou([half, exact], two, 200, 400) == pytest.approx(0.5)
    assert mean_iou([], _TRUE, 200, 400) == 0
    assert np.isnan(mean_iou([exact], (), 200, 400))


_BOXES = st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(0.1, 100)] * 2).map(
    lambda t: (t[0], t[1], t[0] + t[2], t[1] + t[3])
)


@given(_BOXES, _BOXES)
def test_overlap_is_symmetric_and_between_none_and_all(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> None:
    assert iou(first, second) == pytest.approx(iou(second, first))
    assert 0 <= iou(first, second) <= 1 + 1e-9
    assert iou(first, first) == pytest.approx(1)
    assert (iou(first, second) > 0) == (intersection(first, second) > 0)
