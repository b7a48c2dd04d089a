"""Sums over images give what all values together would give; what is no number never passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.layers.noise import RunningNoise
from compress.steps.fidelity import snr_db


def noise_of(*pairs) -> float | None:
    running = RunningNoise()
    for wanted, got in pairs:
        running.add(np.asarray(wanted, np.float32), np.asarray(got, np.float32))
    return running.snr_db


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(-1000, 1000), st.floats(0.003, 3))
def test_image_by_image_is_as_all_at_once(seed: int, images: int, mean: float, noise: float) -> None:
    random = np.random.default_rng(seed)
    wanted = random.normal(mean, 1, (images, 50)).astype(np.float32)
    got = (wanted + random.normal(0, noise, wanted.shape)).astype(np.float32)
    assert noise_of(*zip(wanted, got, strict=True)) == pytest.approx(snr_db(wanted, got), abs=0.02)


def test_a_tenth_of_the_amplitude_is_twenty_decibels() -> None:
    assert noise_of(([1, -1], [1.1, -0.9])) == pytest.approx(20, abs=0.01)


def test_a_single_value_has_no_variance_and_two_images_have() -> None:
    assert noise_of(([3], [4])) is None
    assert noise_of(([3], [3.1]), ([1], [1.1])) == pytest.approx(20, abs=0.01)


def test_a_constant_that_only_rounds_otherwise_is_the_same_and_another_one_is_not() -> None:
    one = np.float32(1)
    assert noise_of(([one, one], [np.nextafter(one, one * 2), one])) == 150
    assert noise_of(([1, 1], [1.5, 1.5])) == -150


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_the_worst_there_is(wrong: float) -> None:
    assert noise_of(([1, 2], [1, wrong]), ([1, 2], [1, 2])) == -150


def test_a_mask_of_minus_infinity_is_no_noise_unless_it_is_lost() -> None:
    assert noise_of(([-np.inf, 1, 2], [-np.inf, 1, 2])) == 150
    assert noise_of(([-np.inf, 1, 2], [0, 1, 2])) == -150
