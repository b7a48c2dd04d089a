"""What a browser gets of the stored values: lossless, small, with the facts to show and measure them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from device_app.gray_values import ViewFacts, pack, unpack, view_facts
from device_app.pictures import reduced_pixels, screen_png
from runtime.radiograph import AcquisitionFacts, Radiograph
from tests.device_app.sample import forearm

DIGEST = "0" * 64
_SIDES = st.integers(1, 40)
_VALUES = arrays.arrays(np.uint16, st.tuples(_SIDES, _SIDES))
_WINDOWS = st.tuples(st.floats(-1e5, 1e5), st.floats(0.5, 1e5)) | st.none()
_SPACINGS = st.tuples(st.floats(1e-3, 10), st.floats(1e-3, 10)) | st.none()


@given(_VALUES)
def test_every_value_comes_back(values: NDArray[np.uint16]) -> None:
    height, width = values.shape
    assert np.array_equal(unpack(pack(values), width, height), values)


def test_the_form_is_as_its_description_says() -> None:
    values = np.array([[5, 65535], [4, 0]], np.uint16)
    # Steps 5, -1 and -1, 1 fold into 10, 1 and 1, 2: low bytes first, then the high ones.
    assert gzip.decompress(pack(values)) == bytes([10, 1, 1, 2, 0, 0, 0, 0])


def test_a_radiograph_takes_less_room_than_a_gray_png_of_sixteen_bits() -> None:
    values = forearm(1.0)
    assert len(pack(values)) < len(cv2.imencode(".png", values)[1]) < values.nbytes


def test_values_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 16"):
        unpack(pack(np.zeros((2, 3), np.uint16)), 2, 4)


@given(_VALUES, _WINDOWS, _SPACINGS)
def test_facts_are_read_as_they_were_stored(
    values: NDArray[np.uint16], window: tuple[float, float] | None, spacing: tuple[float, float] | None
) -> None:
    facts = AcquisitionFacts(window=window, pixel_spacing_mm=spacing)
    found = view_facts(Radiograph(values, 16, DIGEST, facts=facts))
    assert ViewFacts.from_json(found.to_json()) == found
    assert found.low < found.high and found.least <= found.most
    assert (found.row_mm, found.column_mm) == (spacing or (None, None))


def test_facts_tell_rows_from_columns() -> None:
    facts = AcquisitionFacts(pixel_spacing_mm=(0.2, 0.1))
    found = view_facts(Radiograph(forearm(0.0, height_px=300, width_px=200), 12, DIGEST, facts=facts))
    assert (found.row_mm, found.column_mm) == (0.2, 0.1)
    assert (found.width_px, found.height_px) == (200, 300)


@pytest.mark.parametrize("origin", [None, "", "in the patient's pocket", "detector"])
def test_where_the_spacing_holds_is_kept_and_nothing_else_that_is_said(origin: str | None) -> None:
    facts = AcquisitionFacts(pixel_spacing_mm=(0.2, 0.1), spacing_origin=origin)
    found = view_facts(Radiograph(forearm(0.0), 12, DIGEST, facts=facts))
    assert found.spacing_origin == ("detector" if origin == "detector" else "stated")
    assert view_facts(Radiograph(forearm(0.0), 12, DIGEST)).spacing_origin == ""


def test_facts_from_before_their_origin_was_stored_still_open() -> None:
    old = {name: value for name, value in _GOOD.items() if name != "spacing_origin"}
    found = ViewFacts.from_json(json.dumps({**old, "row_mm": 0.2, "column_mm": 0.1}).encode())
    assert (found.row_mm, found.column_mm, found.spacing_origin) == (0.2, 0.1, "")


@pytest.mark.parametrize(
    ("spacing", "aspect"),
    [(None, 1), ((0.2, 0.1), 2), ((0.1, 0.2), 0.5), ((5.0, 0.1), 1), ((0.01, 9.0), 1)],
)
def test_pixels_are_as_oblong_as_the_file_says_credibly(
    spacing: tuple[float, float] | None, aspect: float
) -> None:
    facts = AcquisitionFacts(pixel_spacing_mm=spacing)
    assert view_facts(Radiograph(forearm(0.0), 12, DIGEST, facts=facts)).aspect == aspect


def test_a_large_picture_is_reduced_as_its_screen_is() -> None:
    radiograph = Radiograph(forearm(0.0, height_px=600, width_px=400), 12, DIGEST)
    facts, values = view_facts(radiograph, side_px=150), reduced_pixels(radiograph, 150)
    assert values.shape == (facts.values_height_px, facts.values_width_px) == (150, 100)
    assert (facts.width_px, facts.height_px) == (400, 600)
    assert values.dtype == np.uint16 and facts.least <= values.min() and values.max() <= facts.most


def test_the_first_window_gives_the_screens_own_picture() -> None:
    radiograph = Radiograph(forearm(1.0), 12, DIGEST)
    facts, values = view_facts(radiograph), reduced_pixels(radiograph)
    shades = np.clip((values - facts.low) / (facts.high - facts.low), 0, 1) * 255
    screen = cv2.imdecode(np.frombuffer(screen_png(radiograph), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(shades - screen).max() <= 0.51


_GOOD: dict[str, Any] = json.loads(view_facts(Radiograph(forearm(0.0), 12, DIGEST)).to_json())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"width_px": 3}',
        json.dumps({**_GOOD, "width_px": "3"}).encode(),
        json.dumps({**_GOOD, "width_px": 0}).encode(),
        json.dumps({**_GOOD, "low": None}).encode(),
        json.dumps({**_GOOD, "high": float("nan")}).encode(),
        json.dumps({**_GOOD, "patient": 1}).encode(),
        json.dumps({**_GOOD, "spacing_origin": "elsewhere"}).encode(),
        json.dumps({**_GOOD, "spacing_origin": ["film"]}).encode(),
    ],
)
def test_damaged_facts_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        ViewFacts.from_json(text)
