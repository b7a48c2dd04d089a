"""One picture of an examination as it stands on the sheet: with its places, its answer and its reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from flask import url_for

from device_app.answers import ANSWERED, ScreenState
from device_app.language import gettext
from device_app.listed import listed
from device_app.plates import Plate
from device_app.report.sheet import Picture, View
from device_app.status import ReaderStatus
from device_app.store.records import display_text
from device_app.words import fact_word, is_held, place_marked, place_words, reason_words, score, state_words
from runtime.metadata import JOINT, PatientFacts

Moment = Callable[[datetime], str]
"""A stored time in words."""
_MOST_CHARS = 1000


@dataclass(frozen=True)
class Showing:
    """given: what people said of the patient, by image. alone: it is the only picture, of which the rest of
    the sheet says nearly all.
    """

    box: ReaderStatus
    given: Mapping[int, PatientFacts]
    moment: Moment
    alone: bool


def view_of(number: int, plate: Plate, how: Showing) -> View:
    """One picture with its answer. number: from 1."""
    found, held = plate.answer, is_held(plate.answer, how.box)
    picture = _picture(plate)
    return View(
        number=number,
        sign=str(ScreenState.UNREADABLE) if held else str(found.state),
        headline=str(state_words(found, how.box).headline),
        about=_about(plate, how.given),
        remarks=tuple(_remarks(plate, held, how.alone)),
        picture=picture,
        instead="" if picture else _instead(plate, how.moment),
    )


def _remarks(plate: Plate, held: bool, alone: bool) -> list[str]:
    """Below a picture."""
    found, reason = plate.answer, reason_words(plate.answer)
    said = [gettext("Photograph of a film")] if plate.image.photographed else []
    if found.state is ScreenState.WORKING and not held:
        said.append(place_words(found))
    if alone:
        return said
    if reason:
        said += [str(reason.what), str(reason.step)]
    if found.state in (ScreenState.FRACTURE, ScreenState.DOUBT):
        said.append(place_marked(found))
    if found.probability is not None:
        said.append(gettext("Score %(score)s of 100", score=score(found.probability)))
    return said


def picture_address(public_id: str, image_id: int) -> str:
    """Of the picture of one image, on this kiosk."""
    return url_for("images.picture", public_id=public_id, image_id=image_id, kind="screen")


def _picture(plate: Plate) -> Picture | None:
    if not plate.has_picture or not plate.width_px or not plate.height_px:
        return None
    boxes = tuple(
        replace(box, y0_px=box.y0_px * plate.aspect, y1_px=box.y1_px * plate.aspect)
        for box in plate.answer.boxes
    )
    return Picture(
        address=picture_address(plate.examination.public_id, plate.image.id),
        width_px=plate.width_px,
        height_px=plate.height_px * plate.aspect,
        boxes=boxes,
        dotted=plate.answer.state is not ScreenState.FRACTURE,
        struck=plate.answer.state not in ANSWERED,
    )


def _instead(plate: Plate, moment: Moment) -> str:
    if plate.image.removed_utc is not None:
        return gettext(
            "The picture was removed from the box on %(when)s.", when=moment(plate.image.removed_utc)
        )
    if plate.answer.state is ScreenState.WORKING:
        return gettext("The picture has not been read yet.")
    return gettext("There is no picture to show.")


def facts_of(plate: Plate, given: Mapping[int, PatientFacts]) -> PatientFacts:
    """What people said of patient and picture; where they said nothing, what the file or the model knew."""
    told = plate.answer.told.facts if plate.answer.told else PatientFacts()
    return given.get(plate.image.id, PatientFacts()).over(told).over(_subject(plate.image.findings_json))


def _subject(findings_json: str | None) -> PatientFacts:
    """What the file says that the picture shows; nothing where the record is spoilt: it decides nothing."""
    try:
        subject = json.loads(findings_json or "{}").get("subject") or {}
        return PatientFacts(body_part=str(subject["body_part"]), view=str(subject["view"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return PatientFacts()


def _about(plate: Plate, given: Mapping[int, PatientFacts]) -> str:
    facts = facts_of(plate, given)
    parts = [part for text in (facts.body_part, facts.view) for part in text.split(JOINT) if part]
    return plain(listed(map(fact_word, parts)))


def plain(text: str) -> str:
    """What somebody has written, without characters that turn the text around them or cannot be seen."""
    return display_text(text, _MOST_CHARS)
