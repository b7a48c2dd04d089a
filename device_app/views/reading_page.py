"""What the pages of an examination show of what people say of it, and offer them to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_app.access.gate import actor
from device_app.answers import ANSWERED, summary
from device_app.language import gettext
from device_app.place_words import place_line, region_words
from device_app.places import box_places, sizes_px
from device_app.plates import Plate
from device_app.readings import MAX_BOXES, Judgement, Kind, Place, Said, last_of, places_text
from device_app.store.records import ExaminationRecord
from device_app.views.judging import may_judge, names_of_people
from device_app.web import kiosk
from device_app.words import actor_words


@dataclass(frozen=True)
class SaidShown:
    """A reading beside the box's answer.

    name: whose, "You" for whoever looks. beside_box: how it stands to what the box had said. lines: its
    places in words. places_json: as the viewer draws them, "" for none.
    """

    said: Said
    name: str
    beside_box: str
    lines: tuple[str, ...]
    places_json: str


@dataclass(frozen=True)
class ReadingPage:
    """What is shown, and what can be said.

    box_says: what the box says as a person would, None where it has no answer. box_places_json: its places.
    agreed: whether whoever looks has said the very same after it, as the last thing.
    """

    said: tuple[SaidShown, ...]
    may_judge: bool
    box_says: Judgement | None
    box_places_json: str
    agreed: bool


def marking() -> dict[str, object]:
    """What a form needs in which places are marked."""
    return {"most": MAX_BOXES, "regions": region_words()}


def reading_page(examination: ExaminationRecord, shown: Sequence[Plate]) -> ReadingPage:
    """For whoever asks now, of an examination whose answer is shown."""
    state = summary(examination).state
    box_says = Judgement(str(state)) if state in ANSWERED else None
    places = box_places(shown) if box_says in (Judgement.FRACTURE, Judgement.DOUBT) else ()
    readings = kiosk().store.readings.of(examination.public_id)
    mine = last_of(readings, actor(), Kind.SECOND)
    names, sizes = names_of_people(), sizes_px(shown)
    return ReadingPage(
        said=tuple(_shown(said, names, sizes, places) for said in readings),
        may_judge=may_judge(examination),
        box_says=box_says,
        box_places_json=places_text(places),
        agreed=mine is not None and (mine.judgement, set(mine.places)) == (box_says, set(places)),
    )


def _shown(
    said: Said, names: dict[str, str], sizes: dict[int, tuple[int, int]], box: Sequence[Place]
) -> SaidShown:
    is_mine = said.actor == actor() and said.actor in names
    return SaidShown(
        said=said,
        name=gettext("You") if is_mine else actor_words(said.actor, names),
        beside_box=_beside_box(said, box),
        lines=tuple(place_line(number, place, sizes) for number, place in enumerate(said.places, 1)),
        places_json=places_text(said.places) if said.places else "",
    )


def _beside_box(said: Said, box: Sequence[Place]) -> str:
    """Only what stays true when views are added: the box's verdict of then, and whose places these are."""
    if said.kind is Kind.OUTCOME or said.box_verdict not in ANSWERED:
        return ""
    if said.box_verdict != said.judgement:
        return gettext("Unlike the box")
    if not said.places or set(said.places) <= set(box):
        return gettext("As the box")
    return gettext("As the box, with places of their own")
