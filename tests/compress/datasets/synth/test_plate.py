from __future__ import annotations

import numpy as np
import pytest

from compress.datasets.synth.plate import WHITE, Collimation, Curve, Marker, develop, exposed, lead

SHAPE = (200, 160)
NO_LETTER = np.zeros(SHAPE, np.float32)


def ramp() -> np.ndarray:
    return np.tile(np.exp(-np.linspace(0, 3, SHAPE[1])).astype(np.float32) * 4000, (SHAPE[0], 1))


def test_the_collimated_rectangle_has_the_stated_size() -> None:
    field = exposed(SHAPE, Collimation(0.25, 0.4))
    assert field[100, 80] == 1
    assert field.sum() == pytest.approx(0.5 * 160 * 0.8 * 200, rel=0.03)


def test_a_turned_collimator_has_the_same_area() -> None:
    straight, turned = (exposed(SHAPE, Collimation(0.25, 0.3, turn)).sum() for turn in (0.0, 20.0))
    assert turned == pytest.approx(straight, rel=0.03)


def test_stored_values_use_twelve_bits_and_bone_is_bright() -> None:
    pixels = develop(ramp(), np.ones(SHAPE, np.float32), NO_LETTER, Collimation(), Curve())
    assert pixels.dtype == np.uint16
    assert pixels.max() <= WHITE and pixels.max() > 0.85 * WHITE
    assert np.all(np.diff(pixels[100].astype(int)) >= 0)


@pytest.mark.parametrize(("shuttered", "border"), [(True, 0), (False, WHITE)])
def test_outside_the_field_a_plate_is_white_unless_the_reader_blacks_it_out(
    shuttered: bool, border: int
) -> None:
    collimation = Collimation(0.3, 0.3, shuttered=shuttered)
    field = exposed(SHAPE, collimation)
    pixels = develop(ramp() * field, field, NO_LETTER, collimation, Curve())
    assert pixels[5, 5] == border


def test_a_lead_letter_is_opaque_and_does_not_set_the_window() -> None:
    letter = lead(SHAPE, Marker("R", (0.2, 0.3), 0.1, 0.0), 42.0)
    assert letter.max() > 15
    assert 20 < np.count_nonzero(letter > 10) < 600
    counts = ramp()
    field = np.ones(SHAPE, np.float32)
    plain = develop(counts, field, NO_LETTER, Collimation(), Curve())
    marked = develop(counts * np.exp(-letter), field, letter, Collimation(), Curve())
    assert marked[letter > 10].min() == WHITE
    assert np.abs(marked[letter == 0].astype(int) - plain[letter == 0]).max() < 60


def test_a_larger_dose_gives_the_same_picture() -> None:
    field = np.ones(SHAPE, np.float32)
    low, high = (develop(ramp() * dose, field, NO_LETTER, Collimation(), Curve()) for dose in (1.0, 5.0))
    assert np.abs(low.astype(int) - high.astype(int)).max() <= 2


def test_a_gamma_above_one_darkens_the_middle() -> None:
    field = np.ones(SHAPE, np.float32)
    soft, hard = (develop(ramp(), field, NO_LETTER, Collimation(), Curve(gamma=g)) for g in (1.0, 1.6))
    assert hard[100, 80] < soft[100, 80]
