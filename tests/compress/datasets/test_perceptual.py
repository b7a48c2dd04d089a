from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.datasets.perceptual import Fingerprint, Likeness, fingerprint, near_duplicates
from runtime.radiograph import Radiograph
from runtime.readers import read_bytes
from tests.runtime.readers.makers import encoded


def picture(seed: int, height_px: int = 300, width_px: int = 240) -> np.ndarray:
    """Smooth random shapes, 8 bits; every seed gives others."""
    coarse = np.random.default_rng(seed).random((9, 7)).astype(np.float32)
    return np.clip(
        cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC) * 220 + 10, 0, 255
    ).astype(np.uint8)


def of(pixels: np.ndarray, quality: int = 95) -> Fingerprint:
    found = fingerprint(read_bytes(encoded(".jpg", pixels, cv2.IMWRITE_JPEG_QUALITY, quality)))
    assert found is not None
    return found


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.4, 1.6), st.integers(25, 95), st.floats(0.7, 1.0))
def test_a_copy_of_another_size_quality_and_exposure_is_recognised(
    seed: int, scale: float, quality: int, gain: float
) -> None:
    original = picture(seed)
    resized = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    copy = (resized * gain).astype(np.uint8)
    (pair,) = near_duplicates({"a": of(original), "b": of(copy, quality), "c": of(picture(seed + 1))})
    assert (pair.first, pair.second) == ("a", "b")


def test_different_pictures_are_not_alike() -> None:
    assert near_duplicates({str(seed): of(picture(seed)) for seed in range(60)}) == ()


def test_pairs_are_found_across_blocks_as_a_plain_search_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = {f"{seed}": of(picture(seed // 2), 90 - seed % 2 * 40) for seed in range(20)}
    whole = near_duplicates(prints, Likeness(20, -1))
    monkeypatch.setattr("compress.datasets.perceptual._BLOCK_PAIRS", 60)
    assert near_duplicates(prints, Likeness(20, -1)) == whole
    ids = sorted(prints)
    expected = {
        (one, other)
        for number, one in enumerate(ids)
        for other in ids[number + 1 :]
        if int((prints[one].signs != prints[other].signs).sum()) <= 20
    }
    assert {(pair.first, pair.second) for pair in whole} == expected
    for pair in whole:
        assert pair.distance_bits == (prints[pair.first].signs != prints[pair.second].signs).sum()


def test_an_even_plate_has_no_fingerprint() -> None:
    assert fingerprint(Radiograph(np.full((50, 40), 900, np.uint16), 12, "")) is None


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_pairs(count: int) -> None:
    assert near_duplicates({str(seed): of(picture(seed)) for seed in range(count)}) == ()
