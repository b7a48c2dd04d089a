"""Makes a sound database out of what can be read of others, and of the pictures that are there.

A row is taken from the first source that has it. What then does not fit together is put right in the one
direction that loses nothing: a picture without a row gets one, a picture without an answer is read again.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Table, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from device_app.store import models
from device_app.store.database import FILE_ERRORS, Database, check_integrity, said_of
from device_app.store.files import stored_pictures
from device_app.store.log import Action, append, chain
from device_app.store.log_end import known_end, lost_end
from device_app.store.migrate import migrate
from device_app.store.models import AuditEntry, Base, Examination, Image, Job, JobState, Setting
from device_app.store.readings import named_pictures
from device_app.store.records import by_address
from device_app.store.recover_addresses import Addresses, give_back, rejoin, told
from device_app.store.recover_replay import Kept, Since, moment, reaches_the_end, replay
from device_app.store.recover_settle import detach, settle
from device_app.store.recover_source import HIGHEST, Found, find_rows, missing_from, opened
from device_app.store.sources import RECOVERED
from runtime.errors import StoreError

_LEFT_OUT = (models.SignIn.__tablename__,)
"""Everybody signs in again."""


@dataclass(frozen=True)
class Recovered:
    """What a mended database holds, and where it came from.

    rows: of all tables. from_copy: those of them that only a copy had. tables_damaged: of which something
    could not be read. found: pictures of which no row was left. queued: pictures that will be read, those
    among them. dropped: rows that belonged to nothing. lost_end: the end of the log as it was known, where it
    could not be saved; "" where it is there.
    """

    rows: int = 0
    from_copy: int = 0
    tables_damaged: tuple[str, ...] = ()
    found: int = 0
    queued: int = 0
    dropped: int = 0
    lost_end: str = ""


@dataclass(frozen=True)
class Arrival:
    """What the log says of how a picture came in."""

    public_id: str
    at_utc: datetime
    photographed: bool


def recover(target: Path, sources: Sequence[Path], folder: Path, actor: str) -> Recovered:
    """Write a new database to `target` from the sources, best first, and the pictures in a data folder.

    Raises MigrationError, DiskFullError, StoreError; what lies at `target` then is no database yet.
    """
    migrate(target)
    database = Database(target)
    try:
        with database.write() as session:
            session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            done = _fill(session, sources, folder)
            told = {**asdict(done), "tables_damaged": list(done.tables_damaged)}
            append(session, actor, Action.MENDED, **told)
    except IntegrityError as error:
        message = f"what can be read does not fit together: {said_of(error)}"
        raise StoreError(message, "keep a copy of the data folder and ask for help") from None
    finally:
        database.close()
    _fold(target)
    check_integrity(target)
    return done


def _fill(session: Session, sources: Sequence[Path], folder: Path) -> Recovered:
    taken = [_take(session, source) for source in sources[:1]]
    kept = Kept.of(session)
    taken += [_take(session, source) for source in sources[1:]]
    since = _since(taken)
    lost = _lost_end(session, folder)
    said = told(session, reaches_the_end(kept, since) and not lost)
    give_back(session, said)
    dropped = detach(session)
    replay(session, kept, since)
    found = _link(session, folder, said)
    rejoin(session, said)
    dropped += settle(session)
    waiting = select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED)
    counts = [one.rows for one in taken]
    return Recovered(
        rows=sum(counts),
        from_copy=sum(counts[1:]),
        tables_damaged=taken[0].damaged if taken else (),
        found=found,
        queued=session.scalar(waiting) or 0,
        dropped=dropped,
        lost_end=lost,
    )


def _lost_end(session: Session, folder: Path) -> str:
    with contextlib.suppress(StoreError):  # the box says at its next look that the file cannot be read
        if (lost := lost_end(session, known_end(folder))) is not None:
            return lost.text()
    return ""


@dataclass(frozen=True)
class _Taken:
    """From one source. rows: those that the sources before it did not have. end: number of the last entry of
    its log.
    """

    rows: int
    damaged: tuple[str, ...]
    end: int = 0


def _since(taken: Sequence[_Taken]) -> Since:
    lost = taken[0].damaged if taken else ()
    copied = max((one.end for one in taken[1:]), default=0)
    return Since(copied, AuditEntry.__tablename__ not in lost, Setting.__tablename__ not in lost)


def _take(session: Session, source: Path) -> _Taken:
    tables = [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]
    try:
        with opened(source) as connection:
            missing = missing_from(connection, tables)
            found = {table.name: find_rows(connection, table) for table in tables}
    except FILE_ERRORS:
        return _Taken(0, tuple(sorted(table.name for table in tables)))
    damaged = {name for name, one in found.items() if one.spoilt or not one.whole} | missing
    rows = sum(_put(session, table, found[table.name]) for table in tables)
    end = max(found[AuditEntry.__tablename__].rows, default=0)
    return _Taken(rows, tuple(sorted(damaged)), end)


def _put(session: Session, table: Table, found: Found) -> int:
    """How many rows were new."""
    wanted = insert(table).prefix_with("OR IGNORE")
    return sum(session.connection().execute(wanted, row).rowcount for row in found.rows.values())


def _link(session: Session, folder: Path, said: Addresses) -> int:
    """Every picture that has no row gets one, oldest first; how many."""
    files = {path.name: path for path in stored_pictures(folder)}
    known = set(session.scalars(select(Image.sha256)))
    lost = sorted(files.keys() - known, key=lambda digest: files[digest].stat().st_mtime)
    came = arrivals(session, lost)
    # Where it came in is not where it is: a view that was taken out is nobody else's again.
    came = {one: replace(at, public_id=said.of(one) or secrets.token_urlsafe(12)) for one, at in came.items()}
    for number, digest in enumerate(lost, _free_number(session)):
        _add(session, number, files[digest], came.get(digest))
    return len(lost)


def _free_number(session: Session) -> int:
    """After those of all pictures that are lost: what somebody said of one must not stand at another."""
    named = (number for number in named_pictures(session) if number < HIGHEST)
    return max(session.scalar(select(func.max(Image.id))) or 0, *named, 0) + 1


def _add(session: Session, number: int, path: Path, arrival: Arrival | None) -> None:
    """A row for a picture that has none, in its own examination where the log knows which that was."""
    size_bytes, when = path.stat().st_size, arrival.at_utc if arrival else _changed_utc(path)
    image = Image(
        id=number,
        sha256=path.name,
        size_bytes=size_bytes,
        file_name=f"{RECOVERED}-{path.name[:8]}",
        received_utc=when,
        photographed=arrival is not None and arrival.photographed,
        job=Job(state=JobState.QUEUED),
    )
    examination = _of(session, arrival) or Examination(
        public_id=arrival.public_id if arrival else secrets.token_urlsafe(12),
        received_utc=when,
        source=RECOVERED,
        patient_label="",
    )
    examination.images.append(image)
    session.add(examination)
    session.flush()


def _of(session: Session, arrival: Arrival | None) -> Examination | None:
    return None if arrival is None else by_address(session, arrival.public_id)


def arrivals(session: Session, digests: Iterable[str]) -> dict[str, Arrival]:
    """How these pictures came in, as far as the log still says."""
    wanted, found = set(digests), {}
    for entry in (written.entry for written in chain(session, (Action.RECEIVED,))):
        digest = str(entry.detail.get("image_sha256"))
        if digest in wanted and entry.subject:
            photographed = entry.detail.get("photographed") is True
            found[digest] = Arrival(entry.subject, moment(entry.at_utc), photographed)
    return found


def _changed_utc(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)


def _fold(path: Path) -> None:
    """One file, on the disk: what is renamed must not leave a part of itself behind."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        connection.close()
