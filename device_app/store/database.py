"""One SQLite file, opened so that what is committed survives a power cut."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from runtime.errors import DiskFullError, StoreError

BUSY_TIMEOUT_MS = 15_000
FILE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What Python's module raises over a file. SQLite quotes a damaged schema, and where that is no text the
module fails to make a message of it.
"""
_FULL_HINT = "free space on the box, then send the picture again"
MEND_HINT = "run `ulna mend`; it deletes nothing"
_UNUSABLE_HINT = "keep a copy of the data folder and restart the kiosk; if that does not help, ask for help"


class DatabaseUnusableError(StoreError):
    """SQLite cannot read or write its file: damaged, gone, locked for too long, or the disk fails."""


class DatabaseDamagedError(StoreError):
    """The file holds what it cannot; `ulna mend` makes a sound one of it."""


def now_utc() -> datetime:
    """Now, UTC, without a zone, as the tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def disk_full() -> DiskFullError:
    """The one way to say that there is no room."""
    return DiskFullError("the box's disk is full, nothing was stored", hint=_FULL_HINT)


def is_disk_full(error: BaseException) -> bool:
    """Whether an operating-system or SQLite error means that there is no room."""
    if isinstance(error, DBAPIError):
        return error.orig is not None and is_disk_full(error.orig)
    if isinstance(error, sqlite3.Error):
        return "disk is full" in str(error)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class Database:
    """Sessions on one file; `read` never waits for a writer, `write` takes the lock at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = _open_engine(path)
        self._writer = self.engine.execution_options(begin_immediate=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent state. Raises DatabaseUnusableError."""
        with _explained(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session committed at the end, durable when this returns.

        Raises DiskFullError when SQLite has no room (nothing is stored then), DatabaseUnusableError.
        """
        with _explained(), Session(self._writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a fault of ours, not of the file
    except (DBAPIError, UnicodeDecodeError) as error:
        if is_disk_full(error):
            raise disk_full() from error
        message = f"the box's database cannot be used: {said_of(error)}"
        raise DatabaseUnusableError(message, _UNUSABLE_HINT) from None  # the cause may quote what a row holds


def said_of(error: Exception) -> str:
    """What went wrong, fit for screens and logs: no value of a row, which may be a patient's.

    SQLite itself names tables and columns only. Python's module and SQLAlchemy quote what they cannot read.
    """
    cause = error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error
    if isinstance(cause, StoreError) or hasattr(cause, "sqlite_errorname"):
        return str(cause)
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    if isinstance(cause, UnicodeDecodeError):
        return "it holds bytes that are no text"
    return type(cause).__name__


def decoded(raw: bytes) -> str:
    """A bit that flipped on the disk costs a letter, not the page that shows it."""
    return raw.decode(errors="replace")


def _open_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
        hide_parameters=True,  # errors end in logs, patients do not
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's sqlite3 would start transactions by itself, too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    connection.text_factory = decoded
    # secure_delete: what was removed of a patient is not left in free pages.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def check_integrity(path: Path) -> None:
    """Raise DatabaseDamagedError when SQLite finds the file damaged."""
    connection = sqlite3.connect(path)
    try:
        fault = integrity_fault(connection)
    except FILE_ERRORS as error:
        raise DatabaseDamagedError(f"{path.name} is no sound database: {said_of(error)}") from error
    finally:
        connection.close()
    if fault:
        raise DatabaseDamagedError(f"{path.name} is damaged: {fault}")


def integrity_fault(connection: sqlite3.Connection) -> str:
    """What SQLite finds wrong with its file, "" for nothing. Raises FILE_ERRORS.

    Of a file that is opened for reading only, it leaves the CHECKs out.
    """
    connection.text_factory = decoded
    answer = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if answer != "ok":
        return answer
    orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    return "" if orphan is None else "rows without parents"
