"""How far a box may be off: twice what is typical, and a floor above any processor's rounding."""

from __future__ import annotations

import numpy as np
import pytest

from compress.tolerances import logit_tolerance, map_tolerance


@pytest.mark.parametrize(("precision", "floor"), [("fp32", 0.01), ("fp16", 0.02), ("int8", 0.03)])
def test_a_logit_has_a_floor_by_precision_and_twice_the_typical_error(precision: str, floor: float) -> None:
    assert logit_tolerance(np.zeros(5), precision) == floor
    assert logit_tolerance(np.array([-0.2, 0.1, -0.1, 0.0, 9.0]), precision) == 0.2


@pytest.mark.parametrize(("precision", "share"), [("fp32", 0.01), ("fp16", 0.02), ("int8", 0.03)])
def test_the_floor_of_maps_is_a_share_of_their_range(precision: str, share: float) -> None:
    origin = np.linspace(-6, 4, 3 * 49).reshape(3, 7, 7)
    spread = float(np.ptp(origin[0]))
    assert map_tolerance(origin, origin, precision) == pytest.approx(share * spread, abs=1e-4)
    assert map_tolerance(10 * origin, 10 * origin, precision) == pytest.approx(10 * share * spread, abs=1e-4)


def test_the_worst_cell_of_the_typical_picture_counts() -> None:
    origin = np.random.default_rng(1).uniform(-1, 1, (3, 7, 7))
    found = origin.copy()
    found[0, 2, 3] += 0.5
    found[1, 6, 0] -= 0.75
    found[2, 0, 0] += 100
    assert map_tolerance(found, origin, "int8") == 1.5


def test_no_tolerance_of_maps_is_finer_than_their_digits() -> None:
    assert map_tolerance(np.ones((2, 7, 7)), np.ones((2, 7, 7)), "fp32") == 0.001
