"""The log in the database: an entry is committed with what it tells, so that neither is without the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from device_app.audit import START, Anchor, Entry, Written
from device_app.store.database import Database, now_utc
from device_app.store.models import AuditEntry
from runtime import strict
from runtime.errors import BundleFormatError

BOX, KIOSK = "box", "kiosk"
_CHUNK = 1000
_SHOWN_CHARS = 200


class Action(StrEnum):
    """What is logged."""

    RECEIVED = "received"
    ANSWERED = "answered"
    FAILED = "failed"
    RETRIED = "retried"
    READ = "read_by_person"
    CORRECTED = "facts_corrected"
    JOINED = "views_joined"
    PARTED = "view_parted"
    SIGNED_IN = "signed_in"
    REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    PERSON_ADDED = "person_added"
    PERSON_CHANGED = "person_changed"
    PIN_CHANGED = "pin_changed"
    SETTING_CHANGED = "setting_changed"
    EXPORTED = "log_exported"
    CONSENT_GIVEN = "consent_given"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CASE_EXPORTED = "case_exported"
    CASES_EXPORTED = "cases_exported"
    CASES_FETCHED = "cases_fetched"
    POINTS_CHANGED = "limits_changed"
    REPORTED = "report_made"
    MENDED = "database_mended"
    REMOVED = "pictures_removed"
    SET_ASIDE = "pictures_set_aside"
    TAKEN_IN = "pictures_taken_in"


@dataclass(frozen=True)
class LogPage:
    """Entries, newest first; pages count from 1."""

    entries: tuple[Entry, ...]
    page: int
    pages: int
    total: int


def append(session: Session, actor: str, action: Action, subject: str = "", **detail: Any) -> None:
    """Add an entry in a session that writes; detail holds JSON values and names no patient."""
    last = end_of(session)
    number, previous = last.number + 1, last.sha256
    entry = Entry(number, now_utc().isoformat(), actor, str(action), subject, detail, previous)
    session.add(
        AuditEntry(
            number=entry.number,
            at_utc=entry.at_utc,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail_json=json.dumps(detail, sort_keys=True, allow_nan=False),
            previous_sha256=previous,
            sha256=entry.sha256,
        )
    )
    session.flush()


class AuditLog:
    """Reading the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, actor: str, action: Action, subject: str = "", **detail: Any) -> None:
        """An entry by itself, durable when this returns."""
        with self._database.write() as session:
            append(session, actor, action, subject, **detail)

    def written(self) -> Iterator[Written]:
        """All of it, oldest first, a thousand entries in memory at a time."""
        with self._database.read() as session:
            yield from chain(session)

    def anchor(self) -> Anchor:
        """The end of the log now."""
        with self._database.read() as session:
            return end_of(session)

    def page(self, page: int, page_size: int) -> LogPage:
        """A page, newest first; a page beyond the last is the last."""
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(AuditEntry)) or 0
            pages = max(1, -(-total // page_size))
            page = min(max(1, page), pages)
            rows = session.scalars(
                select(AuditEntry)
                .order_by(AuditEntry.number.desc())
                .offset((page - 1) * page_size)
                .limit(page_size)
            ).all()
            return LogPage(tuple(map(_entry, rows)), page, pages, total)


def chain(session: Session, actions: Iterable[Action] = Action) -> Iterator[Written]:
    """Entries of some kinds, oldest first, a thousand in memory at a time."""
    wanted = select(AuditEntry).order_by(AuditEntry.number)
    if actions is not Action:
        wanted = wanted.where(AuditEntry.action.in_(tuple(map(str, actions))))
    for row in session.scalars(wanted.execution_options(yield_per=_CHUNK)):
        yield Written(_entry(row), str(row.sha256))


class LastOf:
    """The last entry of one kind about each subject. Safe from several threads.

    The table has no index but that of its numbers, so that entries which were looked at once are not looked
    at again: a question costs what was written since the one before, and one entry.
    """

    def __init__(self, action: Action) -> None:
        self._action, self._lock = str(action), threading.Lock()
        self._end, self._numbers = 0, dict[str, int]()

    def of(self, session: Session, subject: str) -> Written | None:
        """As it stands in the log now; None where there is none."""
        with self._lock:
            self._look(session)
            number = self._numbers.get(subject)
        row = None if number is None else session.get(AuditEntry, number)
        return None if row is None else Written(_entry(row), str(row.sha256))

    def _look(self, session: Session) -> None:
        end = end_of(session).number
        if end < self._end:  # it was cut off: the one before the last is the last again
            self._end, self._numbers = 0, {}
        wanted = select(AuditEntry.subject, AuditEntry.number).order_by(AuditEntry.number)
        wanted = wanted.where(AuditEntry.number > self._end, AuditEntry.action == self._action)
        self._numbers.update((subject, number) for subject, number in session.execute(wanted))
        self._end = end


def end_of(session: Session) -> Anchor:
    """Of the log as a session sees it."""
    row = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).first()
    return Anchor(0, START) if row is None else Anchor(row.number, row.sha256)


def written_of(columns: Mapping[str, Any]) -> Written:
    """An entry from the columns of its row, whatever stands there."""
    names = [column.name for column in AuditEntry.__table__.columns]
    row = AuditEntry(**{name: columns.get(name) for name in names})
    return Written(_entry(row), str(row.sha256))


def _entry(row: AuditEntry) -> Entry:
    """Whatever stands in the row: an entry that was spoilt is one that does not fit its digest."""
    return Entry(
        number=row.number,
        at_utc=str(row.at_utc),
        actor=str(row.actor),
        action=str(row.action),
        subject=str(row.subject),
        detail=_detail(row.detail_json),
        previous_sha256=str(row.previous_sha256),
    )


def _detail(text: str) -> dict[str, Any]:
    try:
        found = strict.loads(str(text).encode(), "detail")
    except BundleFormatError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": repr(text)[:_SHOWN_CHARS]}
