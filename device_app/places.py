"""Places on an examination's pictures: the box's as a person takes them over, and where any can be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from device_app.answers import ScreenState
from device_app.plates import Plate
from device_app.readings import MAX_BOXES, Place, PlaceError

_MARKED = (ScreenState.FRACTURE, ScreenState.DOUBT)


def box_places(shown: Sequence[Plate]) -> tuple[Place, ...]:
    """The box's places on all views, within their pictures; where there are many, those it is surest of."""
    found = [
        (box.score, place)
        for plate in shown
        if plate.answer.state in _MARKED
        for box in plate.answer.boxes
        if (place := _within(plate, (box.x0_px, box.y0_px, box.x1_px, box.y1_px))) is not None
    ]
    surest = {place for _, place in sorted(found, key=lambda pair: -pair[0])[:MAX_BOXES]}
    return tuple(place for _, place in found if place in surest)


def _within(plate: Plate, corners: tuple[float, float, float, float]) -> Place | None:
    """The part of a box that lies on the picture; None where there is none."""
    wide, high = float(plate.width_px), float(plate.height_px)
    x0, y0, x1, y1 = (
        min(max(corner, 0.0), most) for corner, most in zip(corners, (wide, high) * 2, strict=True)
    )
    return Place(plate.image.id, x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def sizes_px(shown: Iterable[Plate]) -> dict[int, tuple[int, int]]:
    """Width and height of each picture on which places can be marked, by the image's number."""
    return {plate.image.id: (plate.width_px, plate.height_px) for plate in shown if plate.width_px}


def require_within(places: Iterable[Place], sizes: dict[int, tuple[int, int]]) -> None:
    """Raises PlaceError for a place on no picture of these, or beyond its edge."""
    for place in places:
        width_px, height_px = sizes.get(place.image_id, (0, 0))
        if place.x1_px > width_px or place.y1_px > height_px:
            raise PlaceError("a place is marked outside the picture", "draw the box again")
