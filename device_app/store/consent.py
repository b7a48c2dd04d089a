"""Consent to an export, in the database: given, taken back, and asked again at the very moment of leaving."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from device_app.store.database import Database, now_utc
from device_app.store.log import Action, append
from device_app.store.models import AuditEntry, Examination, Image, Job, JobState, Result
from runtime.errors import InputError
from runtime.findings import Verdict

_ANSWERED = (str(Verdict.FRACTURE), str(Verdict.DOUBT), str(Verdict.NONE))


@dataclass(frozen=True)
class Consented:
    """One answered picture whose patient agrees. source_bytes: of the file as it was received."""

    image_id: int
    examination: str
    sha256: str
    source_bytes: int
    patient_label: str
    study_sha256: str
    facts_json: str
    photographed: bool
    findings_json: str


class Consents:
    """All of it, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, examination: str, actor: str) -> None:
        """The patient agrees; durable when this returns. Raises InputError for one that is not there."""
        self._state(examination, actor, now_utc(), Action.CONSENT_GIVEN)

    def withdraw(self, examination: str, actor: str) -> None:
        """The patient agrees no longer. Raises InputError for an examination that is not there."""
        self._state(examination, actor, None, Action.CONSENT_WITHDRAWN)

    def image_ids(self) -> tuple[int, ...]:
        """Of every picture that may be exported, in the order in which they came."""
        with self._database.read() as session:
            return tuple(session.scalars(_open().order_by(Image.id)).all())

    def agreed(self) -> dict[int, datetime]:
        """When the patient of each picture that may be exported has agreed."""
        with self._database.read() as session:
            rows = session.execute(_open().add_columns(Examination.consent_utc)).all()
            return {image_id: moment for image_id, moment in rows if moment is not None}

    def find(self, image_id: int) -> Consented | None:
        """None for a picture that may not be exported (any more)."""
        with self._database.read() as session:
            return _found(session, image_id)

    def release(self, image_id: int, export: str, actor: str) -> bool:
        """Log that a picture leaves, if its patient agrees at this moment; False where she does not.

        What is logged here is on the disk before a byte of the picture goes out.
        """
        with self._database.write() as session:
            found = _found(session, image_id)
            if found is None:
                return False
            detail = {"export": export, "image_sha256": found.sha256}
            append(session, actor, Action.CASE_EXPORTED, found.examination, **detail)
            return True

    def left(self, examinations: Iterable[str]) -> dict[str, datetime]:
        """When pictures of some examinations left this box the last time; only those of which some did."""
        wanted = select(AuditEntry.subject, AuditEntry.at_utc).where(
            AuditEntry.action == str(Action.CASE_EXPORTED), AuditEntry.subject.in_(set(examinations))
        )
        with self._database.read() as session:
            rows = session.execute(wanted.order_by(AuditEntry.number)).all()
        return {subject: datetime.fromisoformat(at_utc) for subject, at_utc in rows}

    def _state(self, examination: str, actor: str, moment: datetime | None, action: Action) -> None:
        with self._database.write() as session:
            row = session.scalars(select(Examination).where(Examination.public_id == examination)).first()
            if row is None or row.joined_into_id is not None:
                raise InputError("there is no such examination", "open it again from the history")
            if (row.consent_utc is None) is not (moment is None):
                row.consent_utc = moment
                append(session, actor, action, examination)


def _open() -> Select[int]:
    """Answered, agreed to, and still here."""
    return (
        select(Image.id)
        .join(Examination, Image.examination_id == Examination.id)
        .join(Result, Result.image_id == Image.id)
        .join(Job, Job.image_id == Image.id)
        .where(Examination.consent_utc.is_not(None), Examination.joined_into_id.is_(None))
        .where(Image.removed_utc.is_(None), Job.state == str(JobState.DONE), Result.verdict.in_(_ANSWERED))
    )


def _found(session: Session, image_id: int) -> Consented | None:
    if session.scalars(_open().where(Image.id == image_id)).first() is None:
        return None
    image = session.get_one(Image, image_id)
    assert image.result is not None
    whole = image.examination
    return Consented(
        image_id=image.id,
        examination=whole.public_id,
        sha256=image.sha256,
        source_bytes=image.size_bytes,
        patient_label=whole.patient_label,
        study_sha256=whole.study_sha256 or "",
        facts_json=image.facts_json,
        photographed=image.photographed,
        findings_json=image.result.findings_json,
    )
