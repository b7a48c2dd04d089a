"""A film in a photograph is found, straightened and judged; what is no film, or badly taken, is refused."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from benchmarks.photographs_made import FRAME, Photograph, Scene, drawn, take
from runtime.faults import FaultKind
from runtime.findings import RefusalCode
from runtime.photograph import PHOTOGRAPHED, PhotographError, Rectified, rectify
from runtime.photograph_film import find_films
from runtime.photograph_plane import in_order, is_plausible, straightened, view_of
from runtime.photograph_quality import ShotLimits
from runtime.quality import assess
from runtime.radiograph import PHOTOGRAPH, AcquisitionFacts, Radiograph
from runtime.readers import read_bytes
from runtime.refusing import refusal_of
from tests.bundles import radiograph_pixels

FILM = (radiograph_pixels(True, 3, 480, 400) >> 4).astype(np.uint8)
SIZE = (800, 600)
GOOD = Scene(tilt_deg=12, around_deg=40, roll_deg=3, corner=0.02, label=True, fall=0.2)


def gray(photograph: Photograph) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(photograph.data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(decoded, np.uint8)


def of(pixels: NDArray[np.uint8]) -> Radiograph:
    return Radiograph(pixels.astype(np.uint16), 8, "0" * 64)


def read(scene: Scene, limits: ShotLimits | None = None) -> Rectified:
    photograph = of(gray(take(FILM, scene)))
    return rectify(photograph) if limits is None else rectify(photograph, limits)


def code_of(photograph: Radiograph) -> RefusalCode:
    with pytest.raises(PhotographError) as refused:
        rectify(photograph)
    refusal = refused.value.refusal
    assert refusal.message and refusal.advice
    assert refusal_of(refused.value) == refusal
    return refusal.code


def seen_by_camera(aspect: float, tilt_deg: float, around_deg: float, focal: float) -> NDArray[np.float64]:
    """Corners in a picture of SIZE of a rectangle 1 high, at a distance of 2.2."""
    around = np.radians(around_deg)
    axis = np.array([np.cos(around), np.sin(around), 0.0]) * np.radians(tilt_deg)
    flat = np.array([[-aspect, -1, 0], [aspect, -1, 0], [aspect, 1, 0], [-aspect, 1, 0]]) / 2
    points = flat @ cv2.Rodrigues(axis)[0].T + [0.05, -0.03, 2.2]
    seen: NDArray[np.float64] = focal * max(SIZE) * points[:, :2] / points[:, 2:] + np.array(SIZE) / 2
    return seen


@given(st.floats(0.6, 1.6), st.floats(0, 35), st.floats(0, 360), st.floats(0.72, 1.0))
def test_shape_and_tilt_of_a_rectangle_follow_from_its_corners(
    aspect: float, tilt_deg: float, around_deg: float, focal: float
) -> None:
    view = view_of(seen_by_camera(aspect, tilt_deg, around_deg, focal), *SIZE)

    assert view.aspect == pytest.approx(aspect, rel=0.08)
    assert view.tilt_deg == pytest.approx(tilt_deg, abs=10)


@example(aspect=1.4174364056515905, tilt_deg=0.0, around_deg=0.0, clear=99)  # the same film found twice
@settings(max_examples=40, deadline=None)
@given(st.floats(0.65, 1.5), st.floats(0, 35), st.floats(0, 360), st.integers(90, 170))
def test_corners_of_a_known_film_are_found_wherever_it_lies(
    aspect: float, tilt_deg: float, around_deg: float, clear: int
) -> None:
    corners = seen_by_camera(aspect, tilt_deg, around_deg, 0.8)
    film = cv2.resize(FILM, (400, round(400 / aspect))).astype(np.float32) / 255 * clear
    high, wide = film.shape
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    turn = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    scene = np.full((SIZE[1], SIZE[0]), 225, np.float32)
    laid = cv2.warpPerspective(film, turn, SIZE, dst=scene, borderMode=cv2.BORDER_TRANSPARENT)
    found = find_films(cv2.GaussianBlur(laid, (0, 0), 1.0).astype(np.uint8))

    assert len(found) == 1
    off = np.linalg.norm(found[0].corners - corners, axis=1).max()
    assert off < 0.012 * np.linalg.norm(corners[2] - corners[0])


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=60)), st.integers(1, 12))
def test_any_picture_is_read_or_refused(pixels: NDArray[np.uint8], larger: int) -> None:
    picture = of(np.kron(pixels, np.ones((larger, larger), np.uint8)))
    try:
        assert rectify(picture).radiograph.warnings[-1] == PHOTOGRAPHED
    except PhotographError as refused:
        assert refused.refusal.advice


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)])
def test_corners_are_put_in_order_however_they_come(order: tuple[int, ...]) -> None:
    square = np.array([[10.0, 20], [110, 22], [108, 140], [12, 138]])

    assert np.array_equal(in_order(square[list(order)]), square)


def test_a_quadrilateral_with_a_dent_or_a_needle_is_none() -> None:
    square = np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]])
    dented, needle = square.copy(), square.copy()
    dented[2] = (30, 30)
    needle[1] = (900, 40)

    assert is_plausible(square) and not is_plausible(dented) and not is_plausible(needle)


def test_straightening_what_is_straight_changes_nothing() -> None:
    high, wide = FILM.shape
    corners = np.array([[0.0, 0], [wide, 0], [wide, high], [0, high]])

    assert np.array_equal(straightened(FILM, corners, (wide, high)), FILM)


def test_a_film_on_a_light_box_becomes_the_picture_that_was_printed() -> None:
    found = read(GOOD).radiograph

    assert found.width_px / found.height_px == pytest.approx(FILM.shape[1] / FILM.shape[0], rel=0.03)
    size = (100, 120)
    there = cv2.resize(found.pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)[4:108]
    printed = cv2.resize(FILM.astype(np.float32), size, interpolation=cv2.INTER_AREA)[4:108]
    assert np.corrcoef(there.ravel(), printed.ravel())[0, 1] > 0.95  # and so bone is bright, not dark


def test_a_picture_on_a_monitor_is_found_too() -> None:
    assert read(replace(GOOD, kind="monitor", label=False)).shot.evenness > 0


def test_scale_window_and_colour_are_not_those_of_the_photograph() -> None:
    facts = AcquisitionFacts(
        body_part="hand", pixel_spacing_mm=(0.1, 0.1), spacing_origin="film", window=(1.0, 2.0), declared=True
    )
    photograph = replace(of(gray(take(FILM, GOOD))), facts=facts, colour_spread=12.0, warnings=("first",))
    found = rectify(photograph).radiograph

    assert found.facts == AcquisitionFacts(body_part="hand")
    assert found.colour_spread == 0.0
    assert found.warnings == ("first", PHOTOGRAPHED)
    assert found.sha256 == photograph.sha256
    assert found.format == PHOTOGRAPH


def test_a_sharp_photograph_of_a_film_is_not_told_to_be_blurred_for_being_no_file() -> None:
    found = read(GOOD).radiograph
    kinds = [{fault.kind for fault in assess(one).faults} for one in (found, replace(found, format="jpeg"))]

    assert FaultKind.BLURRED not in kinds[0] and kinds[1] - kinds[0] <= {FaultKind.BLURRED}


def test_a_photograph_of_more_than_8_bits_is_read_alike() -> None:
    pixels = gray(take(FILM, GOOD))
    deep = Radiograph(pixels.astype(np.uint16) << 4, 12, "0" * 64)

    assert np.array_equal(rectify(deep).radiograph.pixels, rectify(of(pixels)).radiograph.pixels)


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        (replace(GOOD, tilt_deg=55), RefusalCode.FILM_OBLIQUE),
        (replace(GOOD, share=0.4), RefusalCode.FILM_SMALL),
        (replace(GOOD, blur=0.006), RefusalCode.FILM_BLURRED),
        (replace(GOOD, shake=0.03), RefusalCode.FILM_BLURRED),
        (replace(GOOD, glare=1.5), RefusalCode.FILM_GLARE),
        (replace(GOOD, films=2, share=0.5, off=(-0.22, 0.0), panel=4.0), RefusalCode.FILM_SEVERAL),
        (replace(GOOD, share=1.3), RefusalCode.FILM_NOT_FOUND),
        (replace(GOOD, kind="fills", share=1.3), RefusalCode.FILM_NOT_FOUND),
    ],
    ids=lambda value: str(value) if isinstance(value, RefusalCode) else "",
)
def test_a_photograph_that_was_badly_taken_is_refused_for_what_is_wrong(
    scene: Scene, code: RefusalCode
) -> None:
    assert code_of(of(gray(take(FILM, scene)))) is code


def test_a_film_with_light_behind_one_side_only_is_refused() -> None:
    shade = np.geomspace(1.0, 0.005, FRAME[0]) ** (1 / 2.2)
    dimmed = (gray(take(FILM, replace(GOOD, tilt_deg=0, fall=0.0, panel=4.0))) * shade).astype(np.uint8)

    assert code_of(of(dimmed)) is RefusalCode.FILM_LIGHT


def no_films() -> dict[str, NDArray[np.uint8]]:
    random = np.random.default_rng(5)
    height, width = FRAME[1], FRAME[0]
    box = np.full((height, width), 40, np.uint8)
    cv2.fillConvexPoly(box, np.array([[300, 200], [1700, 260], [1650, 1300], [280, 1250]]), 240)
    ball = np.full((height, width), 230, np.uint8)
    cv2.circle(ball, (1000, 750), 500, 40, -1)
    triangle = np.full((height, width), 230, np.uint8)
    cv2.fillConvexPoly(triangle, np.array([[1000, 200], [1700, 1300], [300, 1300]]), 40)
    return {
        "black": np.zeros((height, width), np.uint8),
        "white": np.full((height, width), 255, np.uint8),
        "noise": random.integers(0, 256, (height, width), np.uint8),
        "ramp": np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)),
        "a light box without a film": box,
        "a ball": ball,
        "a triangle": triangle,
        "one pixel": np.zeros((1, 1), np.uint8),
    }


@pytest.mark.parametrize("name", no_films())
def test_what_is_no_film_is_not_found(name: str) -> None:
    assert code_of(of(no_films()[name])) is RefusalCode.FILM_NOT_FOUND


@pytest.mark.real_data
def test_most_real_radiographs_are_found_in_made_photographs_of_them(real_data: Path) -> None:
    with (real_data / "fracatlas" / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:: 3139 // 12]
    errors = []
    for seed, row in enumerate(rows):
        film = cv2.imread(str(real_data / "fracatlas" / row["file"]), cv2.IMREAD_GRAYSCALE)
        made = take(np.asarray(film, np.uint8), drawn(900 + seed))
        found = find_films(read_bytes(made.data).pixels.astype(np.uint8))
        diagonal = float(np.linalg.norm(made.corners[2] - made.corners[0]))
        edges = (made.corners, made.inner)  # a clear border is as good as none
        errors += [min(np.abs(one.corners - edge).max() for edge in edges) / diagonal for one in found[:1]]
    assert len(errors) >= 0.9 * len(rows)
    assert np.median(errors) < 0.005


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "chelsea", "coffee", "grass", "moon"])
def test_real_photographs_of_other_things_hold_no_film(real_data: Path, name: str) -> None:
    code_of(read_bytes((real_data / "negatives" / f"photo_{name}.jpg").read_bytes()))
