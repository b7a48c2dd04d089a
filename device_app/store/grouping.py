"""Which views make one examination: what a person says, or the study that a DICOM file names.

A view is only ever moved, with its answer; what people said of an examination stays with it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from device_app.store.database import Database
from device_app.store.log import BOX, Action, append
from device_app.store.models import Examination, Image, Reading
from device_app.store.records import MAX_LABEL_CHARS, MAX_VIEWS, by_address, display_text
from runtime.errors import InputError

NEAR = timedelta(hours=24)
NEAR_WITHOUT_LABEL = timedelta(minutes=30)
MOST_OFFERED = 4
_APART = ""
"""In place of a study's digest: whether views belong to this examination has been decided."""


@dataclass(frozen=True)
class FileSays:
    """What a file says of whose it is. study_sha256: of its DICOM study, "" for none. patient: her number, ""
    where that is not asked for.
    """

    study_sha256: str = ""
    patient: str = ""


class Grouping:
    """Views and examinations, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def join(self, public_id: str, into: str, actor: str) -> None:
        """All views of one examination become views of another; its address then leads there.

        Raises InputError where they are of two patients as far as the labels say, where people have judged
        the one that would end, and for more views than MAX_VIEWS.
        """
        with self._database.write() as session:
            one, other = _required(session, public_id), _required(session, into)
            _require_one_patient(session, one, other)
            _move(session, one, other, actor)

    def part(self, public_id: str, image_id: int, actor: str) -> str:
        """A view becomes an examination by itself; gives its address.

        Raises InputError for a view that is not there, and for the only one.
        """
        with self._database.write() as session:
            whole = _required(session, public_id)
            image = next((one for one in whole.images if one.id == image_id), None)
            if image is None or len(whole.images) < 2:
                raise InputError("this view cannot be taken out", "open the examination again")
            alone = Examination(
                public_id=secrets.token_urlsafe(12),
                received_utc=image.received_utc,
                source=whole.source,
                patient_label=whole.patient_label,
                study_sha256=_APART,
                consent_utc=whole.consent_utc,
            )
            session.add(alone)
            image.examination = alone
            session.flush()
            append(session, actor, Action.PARTED, whole.public_id, views=1, now=alone.public_id)
            return alone.public_id

    def near(self, public_id: str) -> tuple[str, ...]:
        """Addresses of examinations that this one may belong to, nearest first: taken in at about the same
        time under the same label, or without any.
        """
        with self._database.read() as session:
            one = session.scalars(select(Examination).where(Examination.public_id == public_id)).first()
            if one is None:
                return ()
            rows = [*session.scalars(_beside(one, before=True)), *session.scalars(_beside(one, before=False))]
            nearest = sorted(rows, key=lambda row: abs(row.received_utc - one.received_utc))
            return tuple(row.public_id for row in nearest[:MOST_OFFERED])

    def settle(self, image_id: int, says: FileSays) -> None:
        """Once a picture has been read: give its examination the patient's number where nobody has given one,
        and put it beside the views of its study. What a person has decided stays.
        """
        with self._database.read() as session:
            if session.scalars(_undecided(image_id)).first() is None:
                return  # looked at without the write lock
        with self._database.write() as session:
            one = session.scalars(_undecided(image_id)).first()
            if one is None:
                return
            one.patient_label = one.patient_label or display_text(says.patient, MAX_LABEL_CHARS)
            one.study_sha256 = says.study_sha256 or _APART
            if says.study_sha256 and len(one.images) == 1 and (other := _study_of(session, one)) is not None:
                _move(session, one, other, BOX)


def _beside(one: Examination, before: bool) -> Select[Examination]:
    """The few that were taken in just before or after it: a clinic's day may hold hundreds."""
    within = NEAR if one.patient_label else NEAR_WITHOUT_LABEL
    wanted = select(Examination).where(
        Examination.patient_label == one.patient_label,
        Examination.joined_into_id.is_(None),
        Examination.received_utc.between(one.received_utc - within, one.received_utc + within),
        Examination.id < one.id if before else Examination.id > one.id,
    )
    return wanted.order_by(Examination.id.desc() if before else Examination.id).limit(MOST_OFFERED)


def _undecided(image_id: int) -> Select[Examination]:
    return (
        select(Examination)
        .join(Examination.images)
        .where(Image.id == image_id, Examination.study_sha256.is_(None))
    )


def _required(session: Session, public_id: str) -> Examination:
    found = by_address(session, public_id)
    if found is None:
        raise InputError("there is no such examination", "open it again from the history")
    return found


def _study_of(session: Session, one: Examination) -> Examination | None:
    """The examination that holds views of the same study, and has room for another."""
    rows = session.scalars(
        select(Examination)
        .where(
            Examination.study_sha256 == one.study_sha256,
            Examination.patient_label == one.patient_label,
            Examination.joined_into_id.is_(None),
            Examination.id != one.id,
        )
        .order_by(Examination.id)
    ).all()
    return next((row for row in rows if len(row.images) < MAX_VIEWS), None)


def _require_one_patient(session: Session, one: Examination, other: Examination) -> None:
    if one.id == other.id:
        raise InputError("an examination cannot be joined with itself", "choose another one")
    if one.patient_label and other.patient_label and one.patient_label != other.patient_label:
        raise InputError("these are pictures of two patients", "look at the patient numbers again")
    readings = select(func.count()).select_from(Reading).where(Reading.examination_id == one.id)
    if session.scalar(readings):
        raise InputError("people have judged this examination already", "leave it as it is")
    if len(one.images) + len(other.images) > MAX_VIEWS:
        raise InputError(f"an examination has at most {MAX_VIEWS} views", "leave them apart")


def _move(session: Session, one: Examination, other: Examination, actor: str) -> None:
    views = list(one.images)
    for image in views:
        image.examination = other
    one.joined_into_id = other.id
    other.patient_label = other.patient_label or one.patient_label
    if one.consent_utc is None or other.consent_utc is None:
        other.consent_utc = None  # what was agreed to for some of the views is not agreed to for all
    session.flush()
    append(session, actor, Action.JOINED, one.public_id, views=len(views), into=other.public_id)
