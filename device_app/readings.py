"""What people say of an examination, beside what the box says. Pure; device_app.store.readings keeps it.

A person's own reading is given before the box's answer is shown, a second one after it; the outcome is what
it was in the end, as a radiologist, a later picture or the patient's course has shown. Nothing is lost:
of what one person said twice the last counts, and all of it stays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from runtime.errors import InputError

MAX_NOTE_CHARS = 300
MAX_BOXES = 20
MAX_PLACES_CHARS = 8_000
"""Of the text of a form; twenty places with every digit of a double take a quarter of it."""


class PlaceError(InputError):
    """A marked place that is none, or that lies where nothing can be marked."""


class ChangedError(InputError):
    """What somebody judges is no longer what she has looked at."""


class Judgement(StrEnum):
    """What a person can say; the box's own words, so that both can be compared."""

    FRACTURE = "fracture"
    DOUBT = "doubt"
    NONE = "none"
    UNREADABLE = "unreadable"


class Kind(StrEnum):
    """When it was said."""

    OWN = "own"
    SECOND = "second"
    OUTCOME = "outcome"


OUTCOMES = (Judgement.FRACTURE, Judgement.NONE)
"""What it can have been in the end."""


@dataclass(frozen=True)
class Place:
    """A box in source pixels of one image, corners in order. Raises PlaceError for one that is none."""

    image_id: int
    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    def __post_init__(self) -> None:
        corners = (self.x0_px, self.y0_px, self.x1_px, self.y1_px)
        if not all(math.isfinite(corner) and 0 <= corner <= 65_535 for corner in corners):
            raise PlaceError("a marked place lies outside the picture", "draw the box again")
        if self.x1_px <= self.x0_px or self.y1_px <= self.y0_px:
            raise PlaceError("a marked place has no area", "draw the box again")


@dataclass(frozen=True)
class Draft:
    """What a person wants to say. Raises InputError for what cannot be said."""

    kind: Kind
    judgement: Judgement
    places: tuple[Place, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind is Kind.OUTCOME and self.judgement not in OUTCOMES:
            raise InputError(f"an outcome is {' or '.join(OUTCOMES)}", "wait until it is known")
        if self.places and self.judgement not in (Judgement.FRACTURE, Judgement.DOUBT):
            raise PlaceError("places are marked for a fracture or a doubt only", "take the boxes away")
        if len(self.places) > MAX_BOXES:
            raise PlaceError(f"{len(self.places)} places, expected at most {MAX_BOXES}", "mark fewer")
        if len(self.note) > MAX_NOTE_CHARS:
            raise InputError(f"{len(self.note)} characters, expected at most {MAX_NOTE_CHARS}", "say less")


@dataclass(frozen=True)
class Said:
    """A reading as it is kept. box_verdict: what the box had said by then, "" for nothing yet. views: how
    many the examination had. image_ids: which they were, None for a reading from before that was kept.
    """

    examination: str
    actor: str
    kind: Kind
    judgement: Judgement
    at_utc: datetime
    box_verdict: str = ""
    places: tuple[Place, ...] = ()
    note: str = ""
    views: int = 1
    image_ids: tuple[int, ...] | None = None


def places_text(places: Sequence[Place]) -> str:
    """As they are stored."""
    return json.dumps([asdict(place) for place in places])


def places_of_text(text: str) -> tuple[Place, ...]:
    """What `places_text` wrote, by a browser too. Raises PlaceError for text that says no places."""
    try:
        if len(text) > MAX_PLACES_CHARS:
            raise ValueError(f"{len(text)} characters, expected at most {MAX_PLACES_CHARS}")
        rows = json.loads(text)
        if not isinstance(rows, list):
            raise TypeError("expected a list")
        return tuple(map(_place, rows))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PlaceError("the marked places cannot be read", "draw the boxes again") from error


_CORNERS = ("x0_px", "y0_px", "x1_px", "y1_px")


def _place(row: dict[str, object]) -> Place:
    """Numbers and nothing that could be taken for one. Raises KeyError, TypeError or PlaceError."""
    values = [row["image_id"], *(row[name] for name in _CORNERS)]
    if len(row) != len(values) or any(type(value) not in (int, float) for value in values):
        raise TypeError("a place is a picture's number and four corners")
    if type(values[0]) is not int:
        raise TypeError("a picture's number is whole")
    return Place(values[0], *(float(value) for value in values[1:]))  # type: ignore[arg-type]


def last_of(readings: Iterable[Said], actor: str, kind: Kind) -> Said | None:
    """The one that counts of what somebody said; readings in the order in which they were given."""
    found = [said for said in readings if said.actor == actor and said.kind is kind]
    return found[-1] if found else None


def repeated(readings: Sequence[Said], draft: Draft, actor: str, pictures: Sequence[int]) -> Said | None:
    """What somebody has said in the very same words of the very same pictures, as long as it counts: a form
    that is sent twice says it once.

    Of outcomes the last counts, whoever has stated it. pictures: the examination's now.
    """
    last = outcome(readings) if draft.kind is Kind.OUTCOME else last_of(readings, actor, draft.kind)
    if last is None or (last.actor, last.image_ids) != (actor, tuple(pictures)):
        return None
    said = last.judgement, last.places, last.note
    return last if said == (draft.judgement, draft.places, draft.note) else None


def has_read(readings: Iterable[Said], actor: str, pictures: Mapping[int, datetime]) -> bool:
    """Whether somebody has said of every one of these pictures what she sees on it.

    An outcome says nothing of that. pictures: when each was taken in.
    """
    hers = [said for said in readings if said.actor == actor and said.kind is not Kind.OUTCOME]
    read = {image for said in hers for image in said.image_ids or ()}
    return pictures.keys() <= read or any(_read_all(said, pictures) for said in hers)


def _read_all(said: Said, pictures: Mapping[int, datetime]) -> bool:
    """Of a reading from before its pictures were kept: as many as there are now, and none is newer."""
    if said.image_ids is not None or said.views != len(pictures):
        return False
    return all(taken_utc <= said.at_utc for taken_utc in pictures.values())


def outcome(readings: Iterable[Said]) -> Said | None:
    """What is held to be true in the end; the last that anybody has stated."""
    found = [said for said in readings if said.kind is Kind.OUTCOME]
    return found[-1] if found else None
