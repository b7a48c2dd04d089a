"""What an administrator sees of writing that the box has not found."""

from __future__ import annotations

import functools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from device_app.export.prepared import Prepared
from device_app.export.preview import GAP_PX, preview_png
from device_app.export.told import Told
from runtime.burned_in import Corners
from runtime.readers import read_bytes
from tests.device_app import sample

WIDTH_PX, HEIGHT_PX, AIR_PX = 1200, 1600, 150
PLAINLY = 40
"""Of 255: how far letters are from their ground where nobody can miss them."""


def written(pixels: NDArray[np.int64], off: int, where: tuple[int, int] = (40, 80)) -> NDArray[np.uint16]:
    ink = letters(where)
    return (pixels + off * ink).clip(0, 65535).astype(np.uint16)


def letters(where: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    cv2.putText(mask, "JANE DOE 04.07.1971", where, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 3)
    return mask > 0


@functools.cache
def forearm() -> NDArray[np.uint16]:
    return sample.forearm(sample.NONE, 1, HEIGHT_PX, WIDTH_PX)


def limb(air: int | None = None, scale: int = 1) -> NDArray[np.int64]:
    """air: the one value at the top, as a collimated picture has it."""
    pixels = forearm().astype(np.int64) * scale
    if air is not None:
        pixels[:AIR_PX] = air
    return pixels


def prepared(pixels: NDArray[np.uint16], over: tuple[Corners, ...] = ()) -> Prepared:
    return Prepared(read_bytes(sample.png(pixels)), Told(), (), over)


def halves(pixels: NDArray[np.uint16], kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    data = np.frombuffer(preview_png(prepared(pixels), kind), np.uint8)
    shown = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.int64)
    width = (shown.shape[1] - GAP_PX) // 2
    return shown[:, :width], shown[:, -width:]


def contrast(shown: NDArray[np.int64], where: tuple[int, int]) -> tuple[float, float]:
    """How far letters are from what is round them, and how much that varies by itself."""
    size = shown.shape[1], shown.shape[0]
    ink = cv2.resize(letters(where).astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    ground = shown[(cv2.dilate(ink, np.ones((9, 9))) > 0) & (ink == 0)]
    return abs(shown[ink > 200].mean() - ground.mean()), ground.std()


IN_AIR, ON_BONE = (40, 80), (330, 800)
CASES = {
    "a little darker than air": (300, 1, -20),
    "black in air": (300, 1, -300),
    "brighter than a bright shutter": (3000, 1, 200),
    "one level darker, of 16 bits": (4000, 16, -1),
    "one level brighter, of 16 bits": (4000, 16, 1),
    "two levels brighter, of 16 bits": (4000, 16, 2),
    "black on what is nearly black": (1, 1, -1),
}
"""Value of the ground, how much wider than 12 bits the picture is, and how far writing is off its ground."""


@pytest.mark.parametrize("kind", ["small", "large"])
@pytest.mark.parametrize("case", CASES)
def test_writing_that_the_box_misses_can_be_seen(case: str, kind: str) -> None:
    air, scale, off = CASES[case]
    _, ranked = halves(written(limb(air, scale), off), kind)
    contrast_of, varies = contrast(ranked, IN_AIR)
    assert contrast_of > PLAINLY and contrast_of > 3 * varies


@pytest.mark.parametrize("kind", ["small", "large"])
def test_bright_writing_on_bone_stands_out_more_than_in_the_plain_picture(kind: str) -> None:
    plain, ranked = halves(written(limb(), 150, ON_BONE), kind)
    assert contrast(ranked, ON_BONE)[0] > max(PLAINLY, 2.5 * contrast(plain, ON_BONE)[0])


@pytest.mark.parametrize("off", [-300, 5000])
def test_no_value_is_left_out_of_the_plain_picture(off: int) -> None:
    """However few pixels have it, and whatever a file would have shown."""
    pixels = written(limb(300), off)
    plain, _ = halves(pixels, "large")
    ends = int(pixels.min()), int(pixels.max())
    assert [set(plain[pixels == end].tolist()) for end in ends] == [{0}, {255}]


@pytest.mark.parametrize(("turned", "expected"), [(False, (640, 968, 3)), (True, (968, 640, 3))])
def test_both_pictures_are_in_one(turned: bool, expected: tuple[int, int, int]) -> None:
    pixels = limb().astype(np.uint16)
    png = preview_png(prepared(np.rot90(pixels).copy() if turned else pixels), "small")
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape == expected


def test_the_frame_round_writing_is_on_both() -> None:
    whole = prepared(limb().astype(np.uint16), ((100.0, 400.0, 300.0, 500.0),))
    shown = cv2.imdecode(np.frombuffer(preview_png(whole, "large"), np.uint8), cv2.IMREAD_COLOR)
    red = (shown[..., 2].astype(int) - shown[..., 0]) > 100
    assert red[:, :WIDTH_PX].sum() == red[:, WIDTH_PX + GAP_PX :].sum() > 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5), (17, 300)])
def test_a_picture_of_any_shape_is_shown(shape: tuple[int, int]) -> None:
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    whole = prepared(limb().astype(np.uint16))
    small = replace(whole, radiograph=replace(whole.radiograph, pixels=pixels))
    assert preview_png(small, "small").startswith(b"\x89PNG")
