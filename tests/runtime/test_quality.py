"""What the quality check refuses, what it lets pass with a warning, and what it says."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from runtime.appearance import copies_of
from runtime.findings import RefusalCode
from runtime.quality import Assessment, QualityLimits, assess, doubts_of
from runtime.radiograph import AcquisitionFacts, Radiograph
from tests.bundles import radiograph_pixels

PLATE = (radiograph_pixels(False, height_px=400, width_px=320) >> 4).astype(np.uint16)

SMALL_LIMB = np.pad(radiograph_pixels(False), ((0, 0), (160, 160)), mode="edge")


def radiograph(
    pixels: np.ndarray, bits: int = 8, spread: float = 0.0, body_part: str | None = None
) -> Radiograph:
    whole = np.clip(np.rint(pixels), 0, (1 << bits) - 1).astype(np.uint16)
    return Radiograph(
        whole, bits, "0" * 64, colour_spread=spread, facts=AcquisitionFacts(body_part=body_part)
    )


def code(pixels: np.ndarray, **facts: float) -> RefusalCode | None:
    refusal = assess(radiograph(pixels, **facts)).refusal  # type: ignore[arg-type]
    return None if refusal is None else refusal.code


def words(assessment: Assessment) -> str:
    assert assessment.refusal is None
    return " ".join(assessment.warnings)


def _noise(blur_px: float, seed: int = 0) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(400, 400)), (0, 0), blur_px)
    return 255 * (field - field.min()) / np.ptp(field)


def _photograph(seed: int = 0) -> np.ndarray:
    """A stand-in for a scene: overlapping mid-gray shapes with sharp outlines, each with its own texture."""
    rng = np.random.default_rng(seed)
    scene = np.full((400, 400), 128.0)
    for _ in range(120):
        (x, y), size, shade = rng.integers(0, 400, 2), int(rng.integers(8, 70)), rng.uniform(60, 190)
        cv2.rectangle(scene, (int(x), int(y)), (int(x) + size, int(y) + size), shade, -1)
    return scene + rng.normal(0, 6, scene.shape)


def test_a_plain_radiograph_passes_without_a_word() -> None:
    found = assess(radiograph(PLATE, body_part="forearm"), body_parts=("forearm",))

    assert (found.refusal, found.warnings, found.faults) == (None, (), ())
    assert found.quality is not None and found.quality.short_side_px == 320


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_bit_depth_makes_no_difference(depth: int) -> None:
    scaled = PLATE.astype(float) * 2 ** (depth - 8)

    deep, plain = assess(radiograph(scaled, depth)), assess(radiograph(PLATE))

    assert (deep.refusal, deep.faults) == (plain.refusal, plain.faults)


@pytest.mark.parametrize("shade", [0, 1, 128, 255])
def test_a_frame_of_one_shade_has_no_contrast(shade: int) -> None:
    assert code(np.full((400, 320), shade)) is RefusalCode.NO_CONTRAST


def test_a_black_frame_with_a_side_marker_has_no_contrast() -> None:
    frame = np.zeros((400, 320))
    frame[20:50, 20:35] = 255

    assert code(frame) is RefusalCode.NO_CONTRAST


@pytest.mark.parametrize(("height", "width"), [(60, 48), (127, 400), (1, 1), (3000, 20)])
def test_a_thumbnail_is_too_small(height: int, width: int) -> None:
    assert code(cv2.resize(PLATE, (width, height))) is RefusalCode.TOO_SMALL


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).uniform(0, 255, (400, 320)),
        _noise(1),
        _noise(4),
        _noise(20),
        np.tile(np.linspace(0, 255, 320), (400, 1)),
        np.add.outer(np.linspace(0, 120, 400), np.linspace(0, 120, 320)),
        _photograph(),
        np.kron(np.indices((25, 20)).sum(axis=0) % 2, np.ones((16, 16))) * 255,
        (np.random.default_rng(1).uniform(size=(400, 320)) > 0.97) * 255.0,
    ],
    ids=[
        "noise",
        "fine texture",
        "texture",
        "clouds",
        "ramp",
        "slanted ramp",
        "scene",
        "chessboard",
        "stars",
    ],
)
def test_what_is_no_radiograph_is_refused(pixels: np.ndarray) -> None:
    assert code(pixels) is RefusalCode.NOT_A_RADIOGRAPH


def test_a_colour_picture_is_refused_and_a_tinted_film_is_let_pass_with_a_warning() -> None:
    assert code(PLATE, spread=60.0) is RefusalCode.NOT_A_RADIOGRAPH
    assert "tinted" in words(assess(radiograph(PLATE, spread=12.0)))


def test_a_stated_body_part_outside_the_intended_use_is_refused_with_both_named() -> None:
    refusal = assess(radiograph(PLATE, body_part="chest"), body_parts=("hand", "leg")).refusal

    assert refusal is not None
    assert refusal.code is RefusalCode.BODY_PART
    assert "chest" in refusal.message and "hand, leg" in refusal.message


@pytest.mark.parametrize("stated", [None, "region 7"])
def test_a_body_part_that_is_not_known_only_warns(stated: str | None) -> None:
    assert "this model reads: hand" in words(
        assess(radiograph(PLATE, body_part=stated), body_parts=("hand",))
    )


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        (cv2.GaussianBlur(SMALL_LIMB, (0, 0), 5), "blurred"),
        (4095 - SMALL_LIMB.astype(int), "inverted"),
        (cv2.resize(SMALL_LIMB, (180, 144), interpolation=cv2.INTER_AREA), "small"),
    ],
)
def test_degraded_radiographs_pass_with_a_warning_that_says_how(pixels: np.ndarray, word: str) -> None:
    assert word in words(assess(radiograph(pixels, 12)))


def test_a_faint_8_bit_picture_passes_with_a_warning() -> None:
    assert "dark or faint" in words(assess(radiograph(PLATE / 12)))


def test_the_readers_own_warnings_are_kept() -> None:
    noticed = dataclasses.replace(radiograph(PLATE), warnings=("Pixels are not square.",))

    assert assess(noticed).warnings == ("Pixels are not square.",)
    assert assess(noticed, QualityLimits(min_side_px=1000)).warnings == ("Pixels are not square.",)


def test_a_refusal_for_noise_also_says_what_to_do_if_it_is_a_radiograph_after_all() -> None:
    noisy = PLATE + np.random.default_rng(3).normal(0, 40, PLATE.shape)
    refusal = assess(radiograph(noisy)).refusal

    assert refusal is not None and refusal.code is RefusalCode.NOT_A_RADIOGRAPH
    assert "right file" in refusal.advice and "more exposure" in refusal.advice


def test_what_was_measured_is_told_of_a_refused_picture_too() -> None:
    chest = assess(radiograph(PLATE, body_part="chest"), body_parts=("hand",))

    assert chest.refusal is not None and chest.quality is not None
    assert assess(radiograph(PLATE[:50])).quality is None


def test_bright_and_dark_are_not_told_of_a_picture_that_was_read_the_other_way_round() -> None:
    inverted = assess(radiograph(4095 - SMALL_LIMB.astype(int), 12))
    blurred = assess(radiograph(cv2.GaussianBlur(SMALL_LIMB, (0, 0), 5), 12))

    assert any("inverted" in text for text in doubts_of(inverted, righted=False))
    assert not any("inverted" in text for text in doubts_of(inverted, righted=True))
    assert doubts_of(blurred, righted=True) == blurred.warnings


def test_few_grays_are_as_few_however_a_picture_was_read() -> None:
    faint = assess(radiograph(PLATE / 12))

    assert "of 256 grays" in " ".join(doubts_of(faint, righted=True))


@pytest.mark.parametrize("height_px", [400, 900, 2500])
def test_what_is_measured_of_few_grays_is_not_rounded_to_them(height_px: int) -> None:
    faint = np.rint(cv2.resize(PLATE, (height_px * 4 // 5, height_px)) / 12)
    eight, sixteen = copies_of(radiograph(faint)), copies_of(radiograph(faint * 256, 16))

    assert np.allclose(eight.small, sixteen.small, atol=0.002)
    assert np.allclose(eight.fine, sixteen.fine, atol=0.002)


def test_every_refusal_says_what_to_do() -> None:
    refusals = [
        assess(radiograph(picture, spread=spread, body_part="chest"), body_parts=("hand",)).refusal
        for picture, spread in [(PLATE[:50], 0), (PLATE * 0, 0), (PLATE, 90), (PLATE, 0)]
    ]

    assert len({refusal.code for refusal in refusals if refusal}) == 4
    assert all(
        refusal and refusal.advice.endswith(".") and refusal.message.endswith(".") for refusal in refusals
    )


@settings(max_examples=60)
@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=300)))
def test_any_plane_is_judged_without_an_exception(pixels: np.ndarray) -> None:
    assessment = assess(Radiograph(pixels.copy(), 16, "0" * 64))

    assert assessment.refusal is None or assessment.refusal.advice
