"""Readings in the database: added, logged, never changed."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from device_app.readings import (
    Draft,
    Judgement,
    Kind,
    Place,
    PlaceError,
    Said,
    has_read,
    places_of_text,
    places_text,
    repeated,
)
from device_app.store.database import Database, now_utc
from device_app.store.log import Action, append
from device_app.store.models import Examination, Reading
from device_app.store.records import ExaminationRecord, examination_record
from runtime.errors import InputError


class Readings:
    """All of them, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, examination: str, draft: Draft, actor: str, permit: Callable[[ExaminationRecord], str]
    ) -> Said:
        """Keep what somebody says; durable when this returns. What she has said already, and what counts
        still, is kept once: it is given as it was.

        permit: looks at the examination as it is at this very moment; gives what the box says of it, "" for
        nothing yet, or raises InputError where this cannot be said of it now.

        Raises InputError for an examination that is not there, for places on pictures of another one, and for
        a second own reading.
        """
        with self._database.write() as session:
            row = _required(session, examination, draft)
            said = _all_of(session, row)
            same = repeated(said, draft, actor, [image.id for image in row.images])
            if same is not None and draft.kind is Kind.OWN:
                # It has brought the box's answer, so that nothing is permitted before it any more.
                return same
            box_verdict = permit(examination_record(session, row))
            if same is not None and same.box_verdict == box_verdict:
                return same
            if draft.kind is Kind.OWN and _has_read(said, row, actor):
                raise InputError("this was read already", "say what you think now as a second reading")
            return _keep(session, row, draft, actor, box_verdict)

    def of(self, examination: str) -> tuple[Said, ...]:
        """All that was said of one, in the order in which it was."""
        return self._select(examination)

    def all(self) -> tuple[Said, ...]:
        """All that was ever said here."""
        return self._select(None)

    def _select(self, examination: str | None) -> tuple[Said, ...]:
        wanted = select(Reading, Examination.public_id).join(
            Examination, Reading.examination_id == Examination.id
        )
        if examination is not None:
            wanted = wanted.where(Examination.public_id == examination)
        with self._database.read() as session:
            return tuple(
                _said(row, public_id) for row, public_id in session.execute(wanted.order_by(Reading.id))
            )


def _required(session: Session, examination: str, draft: Draft) -> Examination:
    """With pictures that the draft's places are on."""
    row = session.scalars(select(Examination).where(Examination.public_id == examination)).first()
    if row is None:
        raise InputError("there is no such examination", "open it again from the history")
    if {place.image_id for place in draft.places} - {image.id for image in row.images}:
        raise PlaceError("a place is marked on another picture", "draw the box again")
    return row


def _all_of(session: Session, row: Examination) -> list[Said]:
    """In the order in which it was said."""
    rows = session.scalars(select(Reading).where(Reading.examination_id == row.id).order_by(Reading.id))
    return [_said(one, row.public_id) for one in rows]


def _has_read(said: list[Said], row: Examination, actor: str) -> bool:
    """Who has read all of its pictures knows the box's answer."""
    return has_read(said, actor, {image.id: image.received_utc for image in row.images})


def _keep(session: Session, row: Examination, draft: Draft, actor: str, box_verdict: str) -> Said:
    reading = Reading(
        examination_id=row.id,
        actor=actor,
        kind=str(draft.kind),
        verdict=str(draft.judgement),
        boxes_json=places_text(draft.places),
        note=draft.note,
        box_verdict=box_verdict,
        views=len(row.images),
        image_ids_json=json.dumps([image.id for image in row.images]),
        at_utc=now_utc(),
    )
    session.add(reading)
    details = {"kind": str(draft.kind), "verdict": str(draft.judgement), "box": box_verdict}
    append(session, actor, Action.READ, row.public_id, places=len(draft.places), **details)
    return _said(reading, row.public_id)


def _said(row: Reading, examination: str) -> Said:
    return Said(
        examination,
        row.actor,
        Kind(row.kind),
        Judgement(row.verdict),
        row.at_utc,
        row.box_verdict,
        _places(row.boxes_json),
        row.note,
        row.views,
        _image_ids(row.image_ids_json),
    )


def named_pictures(session: Session) -> frozenset[int]:
    """Numbers of pictures that readings speak of, whether those are there or not."""
    found: set[int] = set()
    for row in session.scalars(select(Reading)):
        found |= {*(_image_ids(row.image_ids_json) or ()), *(one.image_id for one in _places(row.boxes_json))}
    return frozenset(found)


def _image_ids(text: str) -> tuple[int, ...] | None:
    """None where they were not kept yet; none at all where the row is spoilt, so that it lifts nothing."""
    if not text:
        return None
    try:
        return tuple(map(int, json.loads(text)))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ()


def _places(text: str) -> tuple[Place, ...]:
    """None where the row is spoilt: what was said, and the box's answer beside it, are shown all the same."""
    try:
        return places_of_text(text)
    except InputError:
        return ()
