"""Receiving pictures and looking examinations up. What comes out is frozen and outlives its session."""

from __future__ import annotations

import secrets
import shutil
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from device_app.store.database import Database, disk_full, now_utc
from device_app.store.files import ImageFiles, StagedFile
from device_app.store.log import KIOSK, Action, append
from device_app.store.models import Examination, Image, Job, JobState
from device_app.store.queue import waiting_before
from device_app.store.removal import give_up_digest
from device_app.store.sources import TEST
from runtime.errors import StoreError

MAX_LABEL_CHARS = 80
MAX_NAME_CHARS = 120
MAX_VIEWS = 8
"""Of one examination."""


class QueueFullError(StoreError):
    """Too many pictures wait already."""


@dataclass(frozen=True)
class Upload:
    """What comes with a picture. `file_name` is only ever shown, never used as a path.

    facts_json: what a person says of the patient (device_app.facts), "" for nothing. actor: who sends it, as
    the log names them (device_app.audit). photographed: it is a photograph of a film.
    examination: the public id of one that this is another view of, "" for a new one. received_utc: when it
    came, where that was before; None for now.
    """

    file_name: str
    patient_label: str = ""
    source: str = "upload"
    facts_json: str = ""
    actor: str = KIOSK
    photographed: bool = False
    examination: str = ""
    received_utc: datetime | None = None


class Apart(StrEnum):
    """Why a picture is in another examination than the one it was sent for: it is taken in all the same.

    known: the same bytes were elsewhere. gone: there is no such examination. label: that has another label
    than was given for the picture, or none. full: it takes no more views.
    """

    NO = ""
    KNOWN = "known"
    GONE = "gone"
    LABEL = "label"
    FULL = "full"


@dataclass(frozen=True)
class Receipt:
    """A confirmed upload; `known` when the same bytes were here before, under `patient_label`.

    public_id: of the examination that holds it.
    """

    public_id: str
    known: bool
    patient_label: str
    apart: Apart = Apart.NO


@dataclass(frozen=True)
class IntakeLimits:
    """Where intake closes: size of one file, pictures waiting, disk space kept free."""

    max_upload_bytes: int
    max_waiting: int
    reserve_bytes: int


@dataclass(frozen=True)
class ImageRecord:
    """One image and how far it is. `ahead` pictures are read before it; `findings_json` once done.

    photographed, removed_utc, names_other: see store.models.Image. received_utc: when it was taken in.
    """

    id: int
    sha256: str
    file_name: str
    size_bytes: int
    state: JobState
    failure: str
    detail: str
    ahead: int
    verdict: str | None
    findings_json: str | None
    photographed: bool = False
    removed_utc: datetime | None = None
    names_other: bool = False
    received_utc: datetime = datetime.max


@dataclass(frozen=True)
class ExaminationRecord:
    """One examination with its images, oldest first. consent_utc: see store.models.Examination.

    joined_into: the public id of the one that holds its images now, "" while it holds them itself. source: by
    which way it came in.
    """

    public_id: str
    received_utc: datetime
    patient_label: str
    images: tuple[ImageRecord, ...]
    consent_utc: datetime | None = None
    joined_into: str = ""
    source: str = ""


@dataclass(frozen=True)
class HistoryPage:
    """Examinations, newest first; pages count from 1."""

    examinations: tuple[ExaminationRecord, ...]
    page: int
    pages: int
    total: int


class Records:
    """Intake and look-up on one store. One instance a process: it serialises the last step of intake."""

    def __init__(self, database: Database, files: ImageFiles, limits: IntakeLimits) -> None:
        self._database = database
        self._files = files
        self._limits = limits
        self.adopting = threading.Lock()
        """Held from where bytes are looked for until their row is there."""

    def receive(self, stream: IO[bytes], upload: Upload) -> Receipt:
        """Store a picture and queue it; on return it is on disk and committed.

        Raises InputError for an empty or oversized file, DiskFullError for no room, QueueFullError.
        Nothing is stored then.
        """
        self._require_room()
        staged = self._files.stage(stream, self._limits.max_upload_bytes, upload.received_utc)
        try:
            with self.adopting:
                known = self._find(staged.sha256, upload.examination)
                self._files.adopt(staged)  # for known bytes too: it mends a copy that rotted on the disk
                return known or self._confirm(staged, upload)
        finally:
            staged.path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Disk space that is left; none where the folder is gone."""
        try:
            return shutil.disk_usage(self._files.incoming).free
        except OSError:
            return 0

    def has_room(self) -> bool:
        """Whether the disk has space for another picture."""
        return self.free_bytes() >= self._limits.reserve_bytes

    def examination(self, public_id: str) -> ExaminationRecord | None:
        """One examination, None when there is none."""
        with self._database.read() as session:
            row = session.scalars(_whole().where(Examination.public_id == public_id)).first()
            return None if row is None else examination_record(session, row)

    def holder(self, public_id: str) -> ExaminationRecord | None:
        """The examination that holds the views now of the one at an address; None when there is none."""
        with self._database.read() as session:
            row = by_address(session, public_id)
            return None if row is None else examination_record(session, row)

    def history(self, page: int, page_size: int) -> HistoryPage:
        """A page of examinations, newest first; a page beyond the last is the last."""
        with self._database.read() as session:
            here = Examination.joined_into_id.is_(None)
            total = session.scalar(select(func.count()).select_from(Examination).where(here)) or 0
            pages = max(1, -(-total // page_size))
            page = min(max(1, page), pages)
            rows = session.scalars(
                _whole()
                .where(here)
                .order_by(Examination.id.desc())
                .offset((page - 1) * page_size)
                .limit(page_size)
            ).all()
            return HistoryPage(tuple(examination_record(session, row) for row in rows), page, pages, total)

    def of_source(self, source: str, limit: int = 5) -> tuple[ExaminationRecord, ...]:
        """Examinations that came by one way, newest first."""
        with self._database.read() as session:
            rows = session.scalars(
                _whole()
                .where(Examination.source == source, Examination.joined_into_id.is_(None))
                .order_by(Examination.id.desc())
                .limit(limit)
            ).all()
            return tuple(examination_record(session, row) for row in rows)

    def known_digests(self) -> frozenset[str]:
        """Digest of every confirmed image whose bytes are to be here."""
        with self._database.read() as session:
            return frozenset(session.scalars(select(Image.sha256).where(Image.removed_utc.is_(None))).all())

    def removed_digests(self) -> dict[str, datetime]:
        """Digest of every image whose bytes are to be gone, and since when."""
        gone = select(Image.sha256, Image.removed_utc).where(Image.removed_utc.is_not(None))
        with self._database.read() as session:
            return {row.sha256: row.removed_utc for row in session.execute(gone)}

    def _require_room(self) -> None:
        if not self.has_room():
            raise disk_full()

    def _find(self, sha256: str, sent_for: str = "") -> Receipt | None:
        with self._database.read() as session:
            row = session.scalars(
                select(Examination)
                .join(Examination.images)
                .where(Image.sha256 == sha256, Image.removed_utc.is_(None))
            ).first()
            if row is None:
                return None
            elsewhere = bool(sent_for) and by_address(session, sent_for) is not row
            apart = Apart.KNOWN if elsewhere else Apart.NO
            return Receipt(row.public_id, True, row.patient_label, apart)

    def _confirm(self, staged: StagedFile, upload: Upload) -> Receipt:
        try:
            return self._insert(staged, upload)
        except BaseException:
            # An error of the commit does not prove that nothing was committed: look before dropping.
            if self._find(staged.sha256) is None:
                self._files.drop(staged.sha256)
            raise

    def _insert(self, staged: StagedFile, upload: Upload) -> Receipt:
        moment = upload.received_utc or now_utc()
        with self._database.write() as session:
            waiting = select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED)
            if (session.scalar(waiting) or 0) >= self._limits.max_waiting:
                raise QueueFullError("too many pictures are waiting", hint="wait until some have been read")
            give_up_digest(session, staged.sha256)
            image = Image(
                sha256=staged.sha256,
                size_bytes=staged.size_bytes,
                file_name=display_text(
                    upload.file_name.replace("\\", "/").rsplit("/", 1)[-1], MAX_NAME_CHARS
                ),
                received_utc=moment,
                facts_json=upload.facts_json,
                photographed=upload.photographed,
                job=Job(state=JobState.QUEUED),
            )
            wanted = _wanted(session, upload.examination)
            apart = _apart(upload, wanted)
            examination = (None if apart else wanted) or Examination(
                public_id=secrets.token_urlsafe(12),
                received_utc=moment,
                source=upload.source,
                patient_label=_label(upload, wanted),
            )
            examination.images.append(image)
            examination.consent_utc = None  # what was agreed to for some views is not agreed to for all
            session.add(examination)
            receipt = Receipt(examination.public_id, False, examination.patient_label, apart)
            append(session, upload.actor, Action.RECEIVED, receipt.public_id, **_came(staged, upload))
        return receipt


def _came(staged: StagedFile, upload: Upload) -> dict[str, object]:
    """What the log keeps of how a picture came in: enough to read it again, should its row be lost."""
    return {"image_sha256": staged.sha256, **({"photographed": True} if upload.photographed else {})}


def display_text(text: str, limit_chars: int) -> str:
    """Text fit to be shown: printable, one line, no longer than the limit."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:limit_chars]


def _wanted(session: Session, public_id: str) -> Examination | None:
    """The examination that a view is sent for; None for none, and for the known picture's."""
    found = by_address(session, public_id) if public_id else None
    return None if found is None or found.source == TEST else found


def _apart(upload: Upload, wanted: Examination | None) -> Apart:
    """Whether a new picture may not stand where it was sent for: one patient's beside another's is worse."""
    if not upload.examination:
        return Apart.NO
    if wanted is None:
        return Apart.GONE
    if _label(upload, wanted) != wanted.patient_label:
        return Apart.LABEL
    return Apart.FULL if len(wanted.images) >= MAX_VIEWS else Apart.NO


def _label(upload: Upload, wanted: Examination | None) -> str:
    """Of a new examination: a view that found no room elsewhere is that patient's all the same."""
    given = display_text(upload.patient_label, MAX_LABEL_CHARS)
    return given or (wanted.patient_label if wanted is not None else "")


def by_address(session: Session, public_id: str) -> Examination | None:
    """The examination at an address, or the one that holds its images now; None for none."""
    found = session.scalars(select(Examination).where(Examination.public_id == public_id)).first()
    while found is not None and found.joined_into_id is not None:
        found = session.get(Examination, found.joined_into_id)
    return found


def _whole() -> Select[Examination]:
    images = selectinload(Examination.images)
    return select(Examination).options(images.selectinload(Image.job), images.selectinload(Image.result))


def examination_record(session: Session, row: Examination) -> ExaminationRecord:
    """A row as the screens know it, as it is in this session."""
    images = tuple(_image(session, image) for image in row.images)
    now = row if row.joined_into_id is None else by_address(session, row.public_id)
    joined_into = "" if now is None or now is row else now.public_id
    facts = (row.public_id, row.received_utc, row.patient_label)
    return ExaminationRecord(*facts, images, row.consent_utc, joined_into, row.source)


def _image(session: Session, row: Image) -> ImageRecord:
    queued = row.job.state == JobState.QUEUED
    return ImageRecord(
        id=row.id,
        sha256=row.sha256,
        file_name=row.file_name,
        size_bytes=row.size_bytes,
        state=JobState(row.job.state),
        failure=row.job.failure,
        detail=row.job.detail,
        ahead=waiting_before(session, row.job) if queued else 0,
        verdict=row.result.verdict if row.result else None,
        findings_json=row.result.findings_json if row.result else None,
        photographed=row.photographed,
        removed_utc=row.removed_utc,
        names_other=row.names_other,
        received_utc=row.received_utc,
    )
