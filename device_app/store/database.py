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
_FULL_HINT = "free space on the box, then send the picture again"
_UNUSABLE_HINT = "keep a copy of the data folder and restart the kiosk; if that does not help, ask for help"


class DatabaseUnusableError(StoreError):
    """SQLite cannot read or write its file: damaged, gone, locked for too long, or the disk fails."""


def now_utc() -> datetime:
    """Now, UTC, without a zone, as the tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def disk_full() -> DiskFullError:
    """The one way to say that there is no room."""
    return DiskFullError("the box's disk is full, nothing was stored", hint=_FULL_HINT)


def is_disk_full(error: BaseException) -> bool:
    """Whether an operating-system or SQLite error means that there is no room."""
    if isinstance(error, DBAPIError):
        return "disk is full" in str(error.orig)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class Database:
    """Sessions on one file; `read` never waits for a writer, `write` takes the lock at once."""

    def __init__(self, path: Path) -> None:
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
    except DBAPIError as error:
        if is_disk_full(error):
            raise disk_full() from error
        message = f"the box's database cannot be used: {error.orig}"
        raise DatabaseUnusableError(message, _UNUSABLE_HINT) from error


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
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def check_integrity(path: Path) -> None:
    """Raise StoreError when SQLite finds the file damaged."""
    connection = sqlite3.connect(path)
    try:
        answer = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path.name} is no sound database: {error}") from error
    finally:
        connection.close()
    if answer != "ok" or orphan is not None:
        raise StoreError(f"{path.name} is damaged: {answer if orphan is None else 'rows without parents'}")
