from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.readings import (
    MAX_BOXES,
    Draft,
    Judgement,
    Kind,
    Place,
    PlaceError,
    Said,
    has_read,
    last_of,
    outcome,
    places_of_text,
    places_text,
)
from runtime.errors import InputError

_CORNER = st.floats(0, 60_000, allow_nan=False)
_PLACES = st.builds(
    lambda image, x, y, w, h: Place(image, x, y, x + w, y + h),
    st.integers(1, 99),
    _CORNER,
    _CORNER,
    st.floats(0.5, 5000),
    st.floats(0.5, 5000),
)
NOON = datetime(2026, 1, 1, 12)


@given(st.lists(_PLACES, max_size=MAX_BOXES))
def test_places_are_read_as_they_were_stored(places: list[Place]) -> None:
    assert places_of_text(places_text(places)) == tuple(places)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_or_holds_places(text: str) -> None:
    with contextlib.suppress(InputError):
        assert all(isinstance(place, Place) for place in places_of_text(text))


_ROW = {"image_id": 1, "x0_px": 0, "y0_px": 0, "x1_px": 5, "y1_px": 5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        '"[]"',
        "[1]",
        "[[1, 0, 0, 5, 5]]",
        '["image_id"]',
        json.dumps([{**_ROW, "image_id": "1"}]),
        json.dumps([{**_ROW, "image_id": 1.5}]),
        json.dumps([{**_ROW, "image_id": True}]),
        json.dumps([{**_ROW, "x1_px": "5"}]),
        json.dumps([{**_ROW, "x1_px": None}]),
        json.dumps([{**_ROW, "x1_px": math.nan}]),
        json.dumps([{**_ROW, "note": 1}]),
        json.dumps([{**_ROW, "x1_px": 10**400}]),
        json.dumps([_ROW] * 200),
        "[" * 5000,
        json.dumps([{name: _ROW[name] for name in ("image_id", "x0_px")}]),
    ],
)
def test_what_only_looks_like_places_is_refused(text: str) -> None:
    with pytest.raises(PlaceError):
        places_of_text(text)


def test_as_many_places_as_can_be_stored_fit_into_a_form() -> None:
    corners = 12345.123456789012, 23456.123456789012, 34567.123456789012, 45678.123456789012
    places = tuple(Place(10**9 + n, *corners) for n in range(MAX_BOXES))
    assert places_of_text(places_text(places)) == places


@pytest.mark.parametrize(
    "corners",
    [(0, 0, 0, 5), (5, 0, 4, 5), (-1, 0, 4, 5), (0, 0, math.nan, 5), (0, 0, math.inf, 5), (0, 0, 70_000, 5)],
)
def test_a_box_that_is_none_is_refused(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError):
        Place(1, *corners)


@pytest.mark.parametrize("judgement", [Judgement.NONE, Judgement.UNREADABLE])
def test_places_belong_to_a_fracture_or_a_doubt(judgement: Judgement) -> None:
    with pytest.raises(InputError):
        Draft(Kind.SECOND, judgement, (Place(1, 0, 0, 5, 5),))


@pytest.mark.parametrize("judgement", [Judgement.DOUBT, Judgement.UNREADABLE])
def test_in_the_end_it_was_broken_or_not(judgement: Judgement) -> None:
    with pytest.raises(InputError):
        Draft(Kind.OUTCOME, judgement)


@pytest.mark.parametrize(
    "values", [{"note": "x" * 301}, {"places": tuple(Place(1, 0, 0, 1 + n, 5) for n in range(MAX_BOXES + 1))}]
)
def test_nobody_says_without_end(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Draft(Kind.SECOND, Judgement.FRACTURE, **values)  # type: ignore[arg-type]


def said(kind: Kind, judgement: Judgement, actor: str = "p1") -> Said:
    return Said("e", actor, kind, judgement, NOON)


def test_of_what_was_said_twice_the_last_counts() -> None:
    readings = [
        said(Kind.SECOND, Judgement.NONE),
        said(Kind.SECOND, Judgement.DOUBT),
        said(Kind.OWN, Judgement.NONE),
    ]
    found = last_of(readings, "p1", Kind.SECOND)
    assert found is not None and found.judgement is Judgement.DOUBT
    assert last_of(readings, "p2", Kind.SECOND) is None and outcome(readings) is None


TAKEN = {1: NOON, 2: NOON}


@pytest.mark.parametrize(
    ("pictures", "read"),
    [
        ([(1, 2)], True),
        ([(1,), (2,)], True),
        ([(1, 2, 3)], True),
        ([(1, 3)], False),
        ([()], False),
        ([], False),
    ],
)
def test_who_has_read_every_picture_has_read_the_examination(pictures: list[Any], read: bool) -> None:
    readings = [replace(said(Kind.OWN, Judgement.NONE), views=2, image_ids=ids) for ids in pictures]
    assert has_read(readings, "p1", TAKEN) is read and not has_read(readings, "p2", TAKEN)
    outcomes = [replace(one, kind=Kind.OUTCOME) for one in readings]
    assert not has_read(outcomes, "p1", TAKEN), "an outcome says nothing of what somebody sees"


@pytest.mark.parametrize(
    ("views", "later", "read"), [(2, -1, True), (2, 0, True), (2, 1, False), (1, -1, False), (3, -1, False)]
)
def test_of_a_reading_from_before_pictures_were_kept_the_safe_side_is_taken(
    views: int, later: int, read: bool
) -> None:
    before = replace(said(Kind.OWN, Judgement.NONE), views=views)
    assert has_read([before], "p1", {1: NOON, 2: NOON + timedelta(seconds=later)}) is read
