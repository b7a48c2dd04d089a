"""Removes pictures whose time is over: first the row says so, durably, then the files go.

Killed between the two, files are left whose rows say that they are gone; the next look or start removes them.
Never is there a row that claims a picture which is gone. The answer, what people judged and the figures stay;
what was said of the patient goes, remarks too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from device_app.retention import Clock, Removable, Stored, believed, overdue, removable
from device_app.store.database import FILE_ERRORS, Database, said_of
from device_app.store.files import ImageFiles
from device_app.store.log import BOX, Action, append
from device_app.store.models import Examination, Image, Job, JobState, Reading, Setting

_log = logging.getLogger("ulna.removal")
_CLOCK = "retention_clock"
_ENDED = (JobState.DONE, JobState.FAILED)
_MEASURED = 50
AT_ONCE = 200
"""Pictures of one transaction and one entry of the log."""
_FOLD_WAIT_S = 0.2
"""For readers, while writers wait."""


@dataclass(frozen=True)
class Removal:
    """Pictures of one store whose time is over.

    intake: held while pictures go, so that the same bytes do not come again between their row and their file.
    """

    database: Database
    files: ImageFiles
    intake: AbstractContextManager[object] = field(default_factory=threading.Lock)

    def due(self, keep_days: int, clock: Clock, now_utc: datetime) -> Removable:
        """What the site's rule removes now, and what waits."""
        if keep_days == 0:
            return Removable()
        stored = self._stored(now_utc)
        over = set(overdue(stored, keep_days, now_utc))
        again = [self._renewed(one, now_utc) for one in stored if one.image_id in over]
        ids = overdue(again, keep_days, now_utc)
        return removable(ids, len(stored), self.removed_within_a_day(now_utc), clock)

    def _stored(self, now_utc: datetime) -> list[Stored]:
        """Every picture that is here. Those that are gone tell too when the ones after them came."""
        wanted = (
            select(Image.id, Image.received_utc, Image.removed_utc, Image.sha256, Job.state)
            .add_columns(Examination.consent_utc)
            .join(Job, Job.image_id == Image.id)
            .join(Examination, Image.examination_id == Examination.id)
            .order_by(Image.id)
        )
        with self.database.read() as session:
            rows = session.execute(wanted).all()
        came = believed((row.received_utc for row in rows), now_utc)
        return [
            Stored(
                image_id=row.id,
                received_utc=moment,
                ended=row.state in _ENDED,
                answered=row.state == JobState.DONE,
                consented=row.consent_utc is not None,
                sha256=row.sha256,
            )
            for row, moment in zip(rows, came, strict=True)
            if row.removed_utc is None
        ]

    def _renewed(self, one: Stored, now_utc: datetime) -> Stored:
        """The same bytes may have come again, for another visit: then they were written anew."""
        written = self.files.written_utc(one.sha256)
        return replace(one, received_utc=written) if one.received_utc < written <= now_utc else one

    def taken_since(self, moment_utc: datetime) -> tuple[float, datetime | None]:
        """Bytes of the disk that all pictures took which came since, and when the first of them did.

        What is computed from a picture may take ten times its own bytes: that is measured at the last few.
        """
        since = Image.received_utc >= moment_utc
        with self.database.read() as session:
            whole = select(func.sum(Image.size_bytes), func.min(Image.received_utc)).where(since)
            size_bytes, first = session.execute(whole).one()
            last = select(Image.sha256, Image.size_bytes).where(since, Image.removed_utc.is_(None))
            measured = session.execute(last.order_by(Image.id.desc()).limit(_MEASURED)).all()
        own = sum(row.size_bytes for row in measured)
        factor = sum(self.files.taken_bytes(row.sha256) for row in measured) / own if own else 1.0
        return (size_bytes or 0) * max(1.0, factor), first

    def removed_within_a_day(self, now_utc: datetime) -> int:
        """By this clock, in both directions."""
        near = Image.removed_utc.between(now_utc - timedelta(days=1), now_utc + timedelta(days=1))
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(Image).where(near)) or 0

    def clock(self) -> Clock | None:
        """As it was last seen; None for never, or where what is stored cannot be used."""
        with self.database.read() as session:
            stored = session.get(Setting, _CLOCK)
            text = stored.value_json if stored else "{}"
        try:
            found = json.loads(text)
            return Clock(datetime.fromisoformat(found["seen_utc"]), timedelta(seconds=found["proven_s"]))
        except (KeyError, OverflowError, TypeError, ValueError):
            return None

    def keep_clock(self, clock: Clock) -> None:
        """For the next look and the next start. What the box notes for itself is no decision to be logged."""
        said = {"seen_utc": clock.seen_utc.isoformat(), "proven_s": clock.proven.total_seconds()}
        with self.database.write() as session:
            session.merge(Setting(name=_CLOCK, value_json=json.dumps(said)))

    def remove(self, image_ids: Sequence[int], now_utc: datetime) -> int:
        """Those of them that may still go; how many went."""
        gone = 0
        for first in range(0, len(image_ids), AT_ONCE):
            with self.intake:
                digests = self._let_go(image_ids[first : first + AT_ONCE], now_utc)
                for digest in digests:
                    self.files.erase(digest)
            gone += len(digests)
        return gone

    def erase_left(self) -> None:
        """Files that could not be removed when their row was told that they are gone."""
        if not self.files.left_of(self._gone()):
            return
        with self.intake:
            for digest in self.files.left_of(self._gone()):
                self.files.erase(digest)

    def forget_left(self) -> None:
        """What is still said of patients of whom no picture is here: their view was parted from others after
        it went, or an earlier version kept the remarks.
        """
        while self._is_left():
            with self.database.write() as session:
                _clear(session, set(session.scalars(_left().limit(AT_ONCE))))

    def _is_left(self) -> bool:
        """Looked at without the write lock."""
        with self.database.read() as session:
            return session.scalars(_left().limit(1)).first() is not None

    def fold(self) -> bool:
        """Fold the write-ahead log into the database and empty it; whether that could be done.

        Only then is what was erased in neither file: until then the log holds pages from before, and the file
        may be one of them. Most of it is done without holding anybody up. A reader may keep the rest from
        being done: call it again later. Nothing need be kept for that: whoever closes the database last does
        the same, at every stop, and after a power cut when the next start has looked at the file.
        """
        try:
            with contextlib.closing(_existing(self.database.path.absolute())) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except FILE_ERRORS as error:  # a full disk, among others: what is committed is so all the same
            _log.warning("what was erased is not overwritten on the disk yet: %s", said_of(error))
            return False

    def _gone(self) -> frozenset[str]:
        gone = select(Image.sha256).where(Image.removed_utc.is_not(None))
        with self.database.read() as session:
            return frozenset(session.scalars(gone).all())

    def _let_go(self, image_ids: Sequence[int], now_utc: datetime) -> list[str]:
        """Commit that they are removed; their digests."""
        with self.database.write() as session:
            rows = session.scalars(
                select(Image)
                .join(Job, Job.image_id == Image.id)
                .where(Image.id.in_(image_ids), Image.removed_utc.is_(None), Job.state.in_(_ENDED))
            ).all()
            forget(session, rows, now_utc)
            digests = [image.sha256 for image in rows]
            if digests:
                append(session, BOX, Action.REMOVED, pictures=len(digests), image_sha256s=digests)
            return digests


def _existing(path: Path) -> sqlite3.Connection:
    """One that makes no database where there is none any more."""
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_FOLD_WAIT_S)


def forget(session: Session, images: Sequence[Image], moment_utc: datetime) -> None:
    """That pictures are gone, and with them what was said of their patients."""
    for image in images:
        image.removed_utc = moment_utc
    _forget_patients(session, images)


def forget_again(session: Session) -> None:
    """What was said of patients whose pictures are gone, where an older copy brought some of it back."""
    gone = session.scalars(select(Image).where(Image.removed_utc.is_not(None)).order_by(Image.id)).all()
    for first in range(0, len(gone), AT_ONCE):
        _forget_patients(session, gone[first : first + AT_ONCE])


def _forget_patients(session: Session, images: Sequence[Image]) -> None:
    """Of pictures that are gone."""
    for image in images:
        image.file_name, image.facts_json = "", ""
        if image.result is not None:
            image.result.findings_json = _without_patient(image.result.findings_json)
    session.flush()
    whole = {image.examination for image in images}
    _clear(session, {one.id for one in whole if all(image.removed_utc is not None for image in one.images)})


def _clear(session: Session, ids: set[int]) -> None:
    """Label and remarks, of examinations of which no picture is left."""
    whole = _all_of(session, ids)
    for one in whole:
        one.patient_label = ""
    remarks = update(Reading).where(Reading.examination_id.in_([one.id for one in whole]), Reading.note != "")
    session.execute(remarks.values(note=""))


def _left() -> Select[int]:
    """Examinations without a picture, of which label or remarks are still there."""
    views = select(Image.id).where(Image.examination_id == Examination.id)
    remarks = select(Reading.id).where(Reading.examination_id == Examination.id, Reading.note != "")
    return select(Examination.id).where(
        views.exists(),
        ~views.where(Image.removed_utc.is_(None)).exists(),
        or_(Examination.patient_label != "", remarks.exists()),
    )


def _without_patient(findings_json: str) -> str:
    """Age and sex were said of the patient, and notes speak of them; body part and view are the picture's."""
    try:
        record = json.loads(findings_json)
        record["metadata"].update(age_years=None, sex="", notes=[])
        return json.dumps(record, allow_nan=False)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return findings_json  # nothing was said, or it cannot be understood


def _all_of(session: Session, ids: set[int]) -> Sequence[Examination]:
    """Examinations, and all that were joined into them; one query for each step of joining."""
    found, more = set(ids), set(ids)
    while more:
        joined = select(Examination.id).where(Examination.joined_into_id.in_(more))
        more = {*session.scalars(joined)} - found
        found |= more
    return session.scalars(select(Examination).where(Examination.id.in_(found))).all()


def give_up_digest(session: Session, sha256: str) -> None:
    """Of a picture that was removed, where the same bytes come again: they are a new picture of a new visit.

    The old row keeps its answer and gets a digest that is nobody's.
    """
    wanted = select(Image).where(Image.sha256 == sha256, Image.removed_utc.is_not(None))
    for image in session.scalars(wanted).all():
        image.sha256 = hashlib.sha256(f"removed {image.id} {sha256}".encode()).hexdigest()
    session.flush()
