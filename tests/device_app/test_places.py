"""The box's places as a person takes them over, where places can be, and where they are in words."""

from __future__ import annotations

from datetime import datetime

import pytest

from device_app.answers import Answer, ScreenState
from device_app.place_words import REGIONS, place_line, region_of
from device_app.places import box_places, require_within, sizes_px
from device_app.plates import Plate
from device_app.readings import MAX_BOXES, Place, PlaceError
from device_app.store.models import JobState
from device_app.store.records import ExaminationRecord, ImageRecord
from runtime.findings import Box

WHOLE = ExaminationRecord("e", datetime(2026, 1, 1), "", ())
SIZES = {3: (300, 600), 4: (90, 90)}


def plate(number: int, state: ScreenState, *boxes: Box, width_px: int = 300) -> Plate:
    image = ImageRecord(number, "0" * 64, "a.png", 1, JobState.DONE, "", "", 0, None, None)
    answer = Answer(state, boxes=boxes, width_px=width_px, height_px=600 if width_px else 0)
    return Plate(WHOLE, image, answer, has_picture=True, has_map=False, facts=None)


def test_the_boxs_places_are_those_of_every_view_with_a_finding() -> None:
    shown = [
        plate(3, ScreenState.FRACTURE, Box(1, 2, 3, 4, 0.9)),
        plate(4, ScreenState.NONE),
        plate(5, ScreenState.DOUBT, Box(5, 6, 7, 8, 0.3)),
    ]
    assert box_places(shown) == (Place(3, 1, 2, 3, 4), Place(5, 5, 6, 7, 8))


def test_a_box_beyond_the_edge_is_taken_over_as_far_as_the_picture_goes() -> None:
    shown = [plate(3, ScreenState.FRACTURE, Box(-5, 590, 20, 640, 0.9), Box(300, 0, 310, 5, 0.8))]
    assert box_places(shown) == (Place(3, 0, 590, 20, 600),)
    require_within(box_places(shown), sizes_px(shown))


def test_of_too_many_the_surest_are_taken_over() -> None:
    boxes = [Box(n, 0, n + 1, 5, (n % 7) / 10) for n in range(MAX_BOXES + 1)]
    kept = box_places([plate(3, ScreenState.FRACTURE, *boxes)])
    assert len(kept) == MAX_BOXES and kept == tuple(sorted(kept, key=lambda place: place.x0_px))
    (left_out,) = [box for box in boxes if Place(3, box.x0_px, 0, box.x1_px, 5) not in kept]
    assert left_out.score == 0


@pytest.mark.parametrize(
    "place", [Place(3, 0, 0, 301, 5), Place(3, 0, 0, 5, 601), Place(9, 0, 0, 5, 5), Place(4, 0, 0, 91, 5)]
)
def test_a_place_outside_its_picture_or_on_no_picture_is_refused(place: Place) -> None:
    with pytest.raises(PlaceError):
        require_within([Place(3, 0, 0, 300, 600), place], SIZES)


def test_on_a_picture_of_unknown_size_nothing_is_marked() -> None:
    assert sizes_px([plate(3, ScreenState.UNREADABLE, width_px=0), plate(4, ScreenState.NONE)]) == {
        4: (300, 600)
    }


@pytest.mark.parametrize(
    ("corners", "region"),
    [
        ((0, 0, 10, 10), "upper left"),
        ((140, 290, 160, 310), "middle"),
        ((290, 0, 300, 30), "upper right"),
        ((140, 0, 160, 900), "lower middle"),
        ((0, 0, 300, 600), "middle"),
        ((299, 599, 300, 600), "lower right"),
    ],
)
def test_regions_are_thirds(corners: tuple[float, float, float, float], region: str) -> None:
    assert str(REGIONS[region_of(Place(3, *corners), SIZES[3])]) == region


def test_a_line_names_the_picture_where_there_are_several() -> None:
    place = Place(4, 0, 0, 10.6, 20)
    assert place_line(1, place, {4: (90, 90)}) == "Place 1: upper left, 11 x 20 px"
    assert place_line(2, place, SIZES) == "Place 2, picture 2: upper left, 11 x 20 px"
    assert place_line(1, place, {3: (300, 600)}) == "Place 1: 11 x 20 px", "taken out since"
