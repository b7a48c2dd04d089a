"""Removes pictures whose time is over: first the row says so, durably, then the files go.

Killed between the two, files are left that no row speaks of; the next start sweeps them. Never is there a row
that claims a picture which is gone. The answer, what people said of it and the figures stay.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from device_app.retention import Clock, Stored
from device_app.store.database import Database
from device_app.store.files import ImageFiles
from device_app.store.log import BOX, Action, append
from device_app.store.models import Examination, Image, Job, JobState, Setting

_CLOCK = "retention_clock"
_ENDED = (JobState.DONE, JobState.FAILED)
_MEASURED = 50
AT_ONCE = 200
"""Pictures of one transaction and one entry of the log."""


@dataclass(frozen=True)
class Removal:
    """Pictures of one store whose time is over.

    intake: held while pictures go, so that the same bytes do not come again between their row and their file.
    """

    database: Database
    files: ImageFiles
    intake: AbstractContextManager[object] = field(default_factory=threading.Lock)

    def stored(self) -> tuple[Stored, ...]:
        """Every picture that is here."""
        wanted = (
            select(Image.id, Image.received_utc, Job.state, Examination.consent_utc)
            .join(Job, Job.image_id == Image.id)
            .join(Examination, Image.examination_id == Examination.id)
            .where(Image.removed_utc.is_(None))
        )
        with self.database.read() as session:
            rows = session.execute(wanted).all()
        return tuple(
            Stored(number, received, state in _ENDED, state == JobState.DONE, consent is not None)
            for number, received, state, consent in rows
        )

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

    def _let_go(self, image_ids: Sequence[int], now_utc: datetime) -> list[str]:
        """Commit that they are removed; their digests."""
        with self.database.write() as session:
            rows = session.scalars(
                select(Image)
                .join(Job, Job.image_id == Image.id)
                .where(Image.id.in_(image_ids), Image.removed_utc.is_(None), Job.state.in_(_ENDED))
            ).all()
            for image in rows:
                image.removed_utc, image.file_name, image.facts_json = now_utc, "", ""
            session.flush()
            for examination in {image.examination for image in rows}:
                if all(image.removed_utc is not None for image in examination.images):
                    examination.patient_label = ""
            digests = [image.sha256 for image in rows]
            if digests:
                append(session, BOX, Action.REMOVED, pictures=len(digests), image_sha256s=digests)
            return digests


def give_up_digest(session: Session, sha256: str) -> None:
    """Of a picture that was removed, where the same bytes come again: they are a new picture of a new visit.

    The old row keeps its answer and gets a digest that is nobody's.
    """
    wanted = select(Image).where(Image.sha256 == sha256, Image.removed_utc.is_not(None))
    for image in session.scalars(wanted).all():
        image.sha256 = hashlib.sha256(f"removed {image.id} {sha256}".encode()).hexdigest()
    session.flush()
