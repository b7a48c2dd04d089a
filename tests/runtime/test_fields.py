"""Two limbs side by side are told from one, whatever else is bright on the plate."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.fields import count_fields
from tests.bundles import radiograph_pixels


def limb(width_px: int = 128) -> np.ndarray:
    plate = radiograph_pixels(False, height_px=256, width_px=width_px).astype(np.float32)
    return np.clip((plate - plate.min()) / np.ptp(plate), 0, 1)


def side_by_side() -> np.ndarray:
    return np.hstack([limb(), limb()])


def test_one_limb_is_one_field() -> None:
    assert count_fields(limb(200)) == 1


def test_two_limbs_are_two_fields() -> None:
    assert count_fields(side_by_side()) == 2


@pytest.mark.parametrize("slope", [-0.08, 0.0, 0.08])
def test_a_bright_seam_between_the_exposures_does_not_hide_them(slope: float) -> None:
    plate = side_by_side()
    for y in range(256):
        x = 127 + round(slope * (y - 128))
        plate[y, x - 1 : x + 2] = 1.0

    assert count_fields(plate) == 2


def test_the_bar_of_a_collimator_across_both_does_not_join_them() -> None:
    plate = side_by_side()
    plate[-30:] = 1.0

    assert count_fields(plate) == 2


def test_a_side_marker_and_the_bar_of_a_collimator_are_no_limbs() -> None:
    plate = np.pad(limb(), ((0, 0), (40, 60)))
    plate[20:50, 200:215] = 1.0
    plate[:, -24:] = 1.0

    assert count_fields(plate) == 1


@pytest.mark.parametrize("shape", [(256, 200), (256, 8), (1, 256), (30, 256)])
@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_a_plane_with_nothing_in_it_is_one_field(shape: tuple[int, int], shade: float) -> None:
    assert count_fields(np.full(shape, shade, np.float32)) == 1
