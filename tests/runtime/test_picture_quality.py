"""What is measured of a picture grows with what is done to it, and is the same for every size of file."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from runtime.appearance import copies_of, measure
from runtime.picture_quality import PictureQuality, measure_detail, measure_quality
from runtime.radiograph import Radiograph
from tests.bundles import radiograph_pixels

PLATE = radiograph_pixels(False, height_px=512, width_px=400)


def quality(pixels: np.ndarray, bits: int = 12) -> PictureQuality:
    whole = np.clip(np.rint(pixels), 0, (1 << bits) - 1).astype(np.uint16)
    radiograph = Radiograph(whole, bits, "0" * 64)
    copies = copies_of(radiograph)
    return measure_quality(radiograph, copies, measure_detail(copies))


def test_noise_is_measured_in_its_own_size() -> None:
    smooth = cv2.GaussianBlur(PLATE.astype(np.float64), (0, 0), 3)
    for share in (0.01, 0.03):
        spread = share * quality(smooth).gray_levels
        noisy = smooth + np.random.default_rng(0).normal(0, spread, smooth.shape)
        assert quality(noisy).noise == pytest.approx(share, rel=0.15)
    assert quality(smooth).noise < 0.002


def test_white_is_counted_without_the_bars_of_a_collimator() -> None:
    barred = np.vstack([PLATE, np.full((60, 400), 4000)])
    burnt = np.minimum(PLATE, np.percentile(PLATE, 85))

    assert quality(barred).white_share < 0.02
    assert quality(burnt).white_share > 0.1


def test_black_is_counted() -> None:
    cut = np.maximum(PLATE.astype(int) - int(np.percentile(PLATE, 60)), 0)

    assert quality(PLATE).black_share < quality(cut).black_share
    assert quality(cut).black_share == pytest.approx(0.6, abs=0.1)


def test_blocks_of_jpeg_are_measured_wherever_they_begin() -> None:
    eight = (PLATE >> 4).astype(np.uint8)
    coded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    blocks = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)

    assert quality(blocks, 8).blocking > 3 * quality(eight, 8).blocking
    assert quality(blocks[3:, 5:], 8).blocking == pytest.approx(quality(blocks, 8).blocking, rel=0.2)


@pytest.mark.parametrize("angle", [0, 27, 45, 90, 135])
def test_motion_is_seen_whichever_way_it_goes(angle: int) -> None:
    kernel = np.zeros((15, 15), np.float32)
    kernel[7] = np.hanning(17)[1:-1]
    turned = cv2.warpAffine(kernel, cv2.getRotationMatrix2D((7, 7), angle, 1.0), (15, 15))
    moved = quality(cv2.filter2D(PLATE.astype(np.float32), -1, turned / turned.sum()))

    assert moved.sharpness_one_way < 0.7 * quality(PLATE).sharpness_one_way


def test_a_strip_is_not_said_to_have_moved() -> None:
    assert quality(np.tile(PLATE[:, 180:220], (8, 1))).sharpness_one_way >= 1.0


def test_blur_takes_sharpness() -> None:
    assert quality(cv2.GaussianBlur(PLATE, (0, 0), 2)).sharpness < 0.7 * quality(PLATE).sharpness


def test_a_larger_file_of_the_same_picture_measures_alike() -> None:
    small = quality(PLATE)
    large = quality(cv2.resize(PLATE, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC))

    assert large.short_side_px == 5 * small.short_side_px
    assert large.black_share == pytest.approx(small.black_share, abs=0.03)
    assert large.fields == small.fields == 1


@pytest.mark.parametrize("shape", [(2047, 1601), (4096, 300), (300, 4096), (3000, 60)])
def test_copies_of_large_pictures_look_as_if_reduced_at_once(shape: tuple[int, int]) -> None:
    pixels = cv2.resize(PLATE, shape[::-1], interpolation=cv2.INTER_LINEAR)
    copies = copies_of(Radiograph(pixels, 12, "0" * 64))
    at_once = cv2.resize(pixels.astype(np.float32), copies.small.shape[::-1], interpolation=cv2.INTER_AREA)
    low = at_once.min()
    wanted = np.corrcoef(at_once.ravel() - low, copies.small.ravel())[0, 1]

    assert max(copies.small.shape) == 256 and max(copies.fine.shape) == 512
    assert wanted > 0.99
    assert np.isfinite(list(vars(measure(copies)).values())).all()


def test_json_holds_plain_numbers_with_four_digits() -> None:
    table = quality(PLATE).to_json()

    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert set(table) == {*PictureQuality.__dataclass_fields__}
    assert table["noise"] == round(table["noise"], 4)
