"""Which views make one examination: what a person says, or the study that a DICOM file names.

A view is only ever moved, with its answer; what people said of an examination stays with it. By itself the
box puts together what one patient's study shows of one part and side of the body, and nothing else: all views
of an examination become one answer, in which one hand would hide the other.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from device_app.store.database import Database
from device_app.store.log import BOX, Action, append, chain
from device_app.store.models import AuditEntry, Examination, Image, Reading
from device_app.store.records import MAX_LABEL_CHARS, MAX_VIEWS, by_address, display_text
from device_app.store.sources import TEST
from runtime.errors import InputError
from runtime.radiograph import FileSays

NEAR = timedelta(hours=24)
NEAR_WITHOUT_LABEL = timedelta(minutes=30)
MOST_OFFERED = 4
_APART = ""
"""In place of a study's digest: whether views belong to this examination has been decided."""
_STUDY_DIGITS, _SHOWN_DIGITS = 40, 23
"""Of two digests in one column of 64; see `study_part`."""


class Grouping:
    """Views and examinations, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def join(self, public_id: str, into: str, actor: str) -> None:
        """All views of one examination become views of another; its address then leads there. Where they are
        already, nothing is done.

        Raises InputError where they are of two patients as far as the labels say, where people have judged
        the one that would end, and for more views than MAX_VIEWS.
        """
        with self._database.write() as session:
            one, other = _required(session, public_id), _required(session, into)
            if one is other and any(_has_joined(session, old, other) for old in (public_id, into)):
                return
            _require_one_patient(session, one, other)
            _move(session, one, other, actor)

    def part(self, public_id: str, image_id: int, actor: str) -> str:
        """A view becomes an examination by itself; gives its address, of one that was taken out already too.

        Raises InputError for a view that is not there, and for the only one.
        """
        with self._database.write() as session:
            whole = _required(session, public_id)
            image = next((one for one in whole.images if one.id == image_id), None)
            if image is None and (gone := _taken_out(session, whole, image_id)):
                return gone
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
            which = {"now": alone.public_id, "image_sha256": image.sha256}
            append(session, actor, Action.PARTED, whole.public_id, views=1, **which)
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

    def settle(self, image_id: int, says: FileSays, take_label: bool = True) -> None:
        """Before a picture is decoded, so that one that cannot be counts among the views of its study: put it
        beside them, give its examination the patient's number where nobody has given one, and note where the
        file has another. What a person has decided stays.

        says: its body part as people name it, where they do. take_label: whether the site takes that number.
        """
        with self._database.read() as session:
            image = session.get(Image, image_id)
            if image is None or not _is_open(image, says):
                return  # looked at without the write lock
        with self._database.write() as session:
            image = session.get(Image, image_id)
            if image is None:
                return
            if image.examination.study_sha256 is None:
                _decide(session, image.examination, says, take_label)
            image.names_other = _names_other(image, says)


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


def study_part(study_sha256: str) -> str:
    """Of what is stored in place of a study's digest: what all its views have in common, hand or foot."""
    return study_sha256.partition("-")[0]


def _is_open(image: Image, says: FileSays) -> bool:
    return image.examination.study_sha256 is None or image.names_other != _names_other(image, says)


def _decide(session: Session, one: Examination, says: FileSays, take_label: bool) -> None:
    if take_label:
        one.patient_label = one.patient_label or _label(says.patient)
    one.study_sha256 = _study_digest(says)
    if one.study_sha256 == _APART or len(one.images) > 1 or _is_judged(session, one):
        return
    if (other := _study_of(session, one)) is not None:
        _move(session, one, other, BOX)


def _study_digest(says: FileSays) -> str:
    """Equal for views that may be put together: what is known of one alone keeps them apart."""
    if not says.study_sha256:
        return _APART
    shown = hashlib.sha256("\0".join((says.body_part, says.laterality)).encode()).hexdigest()
    return f"{says.study_sha256[-_STUDY_DIGITS:]}-{shown[-_SHOWN_DIGITS:]}"


def _names_other(image: Image, says: FileSays) -> bool:
    """A clinic's own number differs too: it is a warning, and another patient's picture is worse."""
    file, label = _comparable(_label(says.patient)), _comparable(image.examination.patient_label)
    return bool(file and label) and file != label


def _comparable(label: str) -> str:
    """As people write it: 007 and 7 stay two numbers."""
    return " ".join(label.replace("^", " ").casefold().split())


def _label(patient: str) -> str:
    return display_text(patient, MAX_LABEL_CHARS)


def _required(session: Session, public_id: str) -> Examination:
    found = by_address(session, public_id)
    if found is None:
        raise InputError("there is no such examination", "open it again from the history")
    return found


def _study_of(session: Session, one: Examination) -> Examination | None:
    """The examination of about that time that holds views of the same study, and has room for another."""
    near = Examination.received_utc.between(one.received_utc - NEAR, one.received_utc + NEAR)
    rows = session.scalars(
        select(Examination)
        .where(
            Examination.study_sha256 == one.study_sha256,
            Examination.patient_label == one.patient_label,
            Examination.joined_into_id.is_(None),
            Examination.source != TEST,
            Examination.id != one.id,
            near,
        )
        .order_by(Examination.id)
    ).all()
    return next((row for row in rows if len(row.images) < MAX_VIEWS), None)


def _require_one_patient(session: Session, one: Examination, other: Examination) -> None:
    if one.id == other.id:
        raise InputError("an examination cannot be joined with itself", "choose another one")
    if TEST in (one.source, other.source):
        raise InputError("the known picture is nobody's", "leave it by itself")
    if one.patient_label and other.patient_label and one.patient_label != other.patient_label:
        raise InputError("these are pictures of two patients", "look at the patient numbers again")
    if _is_judged(session, one):
        raise InputError("people have judged this examination already", "leave it as it is")
    if len(one.images) + len(other.images) > MAX_VIEWS:
        raise InputError(f"an examination has at most {MAX_VIEWS} views", "leave them apart")


def _has_joined(session: Session, old: str, whole: Examination) -> bool:
    """Whether the views of an old address are in this one: they came here, and none was taken out since."""
    one = session.scalars(select(Examination).where(Examination.public_id == old)).one()
    if one.joined_into_id != whole.id:
        return False
    came = session.scalar(_last_number(Action.JOINED, old)) or 0
    return (session.scalar(_last_number(Action.PARTED, whole.public_id)) or 0) < came


def _last_number(action: Action, subject: str) -> Select[int]:
    """Of the log's entries of what was done to an examination."""
    return select(func.max(AuditEntry.number)).where(
        AuditEntry.subject == subject, AuditEntry.action == str(action)
    )


def _taken_out(session: Session, whole: Examination, image_id: int) -> str:
    """Where a view is that was taken out of this one, "" for one that was not, or has gone on since."""
    image = session.get(Image, image_id)
    entries = (written.entry for written in chain(session, (Action.PARTED,)))
    alone = [entry.detail.get("now") for entry in entries if entry.subject == whole.public_id]
    return image.examination.public_id if image and image.examination.public_id in alone else ""


def _is_judged(session: Session, one: Examination) -> bool:
    readings = select(func.count()).select_from(Reading).where(Reading.examination_id == one.id)
    return bool(session.scalar(readings))


def _move(session: Session, one: Examination, other: Examination, actor: str) -> None:
    views = list(one.images)
    for image in views:
        image.examination = other
    one.joined_into_id = other.id
    other.patient_label, one.patient_label = other.patient_label or one.patient_label, ""
    if one.consent_utc is None or other.consent_utc is None:
        other.consent_utc = None  # what was agreed to for some of the views is not agreed to for all
    session.flush()
    append(session, actor, Action.JOINED, one.public_id, views=len(views), into=other.public_id)
