"""Reads what can be read of a database that may be damaged; writes nothing.

Rows are looked for from the first on, from the last back, and between the two one by one, because a page that
is damaged ends a scan and the rows behind it are sound. What SQLite gives out of a damaged page may be
anything, so that each value must be one that its column can hold.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table

from device_app.store.migrate import known_revisions

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FURTHEST_PROBED = 50_000
"""Rows looked for one by one."""


class Condition(StrEnum):
    """Of a database file. unreadable: the system does not let it be opened, which says nothing of it."""

    SOUND = "sound"
    MISSING = "missing"
    DAMAGED = "damaged"
    NEWER = "newer"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Examined:
    """A database as it was found. detail: what SQLite or the system says, "" for a sound one."""

    condition: Condition
    revision: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Found:
    """Rows of one table by their number, as values that the table can take; whole: whether it was all read.

    spoilt: rows that were read and held what they cannot hold.
    """

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    whole: bool = True
    spoilt: int = 0


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, for reading. Raises sqlite3.Error.

    On a disk that nothing can be written to, SQLite cannot share a file with others, and need not.
    """
    try:
        connection = _connect(path, "mode=ro")
    except sqlite3.OperationalError:
        connection = _connect(path, "mode=ro&immutable=1")
    try:
        yield connection
    finally:
        connection.close()


def examine(path: Path) -> Examined:
    """How a database is. Raises nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return Examined(Condition.MISSING, detail=f"{path.name} is not there, or empty")
    try:
        with opened(path) as connection:
            return _examine(connection)
    except sqlite3.OperationalError as error:
        kind = Condition.UNREADABLE if "unable to open" in str(error) else Condition.DAMAGED
        return Examined(kind, detail=str(error))
    except sqlite3.DatabaseError as error:
        return Examined(Condition.DAMAGED, detail=str(error))


def find_rows(connection: sqlite3.Connection, table: Table) -> Found:
    """Every row of a table that can be read; none of a table that is not there."""
    before, whole = _scan(connection, table, "ASC")
    if not whole:
        before |= _scan(connection, table, "DESC")[0] | _probe(connection, table, before)
    sound = {number: _row(table, columns) for number, columns in before.items()}
    kept = {number: columns for number, columns in sound.items() if columns is not None}
    return Found(kept, whole, len(sound) - len(kept))


def _connect(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
    try:
        connection.text_factory = bytes  # a text that is no text must not end a scan
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _examine(connection: sqlite3.Connection) -> Examined:
    answer = connection.execute("PRAGMA integrity_check(1)").fetchone()[0].decode(errors="replace")
    if answer != "ok":
        return Examined(Condition.DAMAGED, detail=answer)
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return Examined(Condition.DAMAGED, detail="rows without parents")
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found is None:
        return Examined(Condition.MISSING, detail="it holds no table of ours")
    revision = found[0].decode(errors="replace")
    known = revision in known_revisions()
    newer = f"it is of a newer version ({revision}) than this program"
    return Examined(*((Condition.SOUND, revision) if known else (Condition.NEWER, revision, newer)))


def _scan(connection: sqlite3.Connection, table: Table, order: str) -> tuple[dict[int, dict[str, Any]], bool]:
    """Rows in an order, until one cannot be read; whether the end was reached."""
    found: dict[int, dict[str, Any]] = {}
    last: int | None = None
    try:
        cursor = connection.execute(f'SELECT rowid, * FROM "{table.name}" ORDER BY rowid {order}')  # noqa: S608
        names = [one[0] for one in cursor.description][1:]
        for number, *values in cursor:
            if last is not None and (number <= last if order == "ASC" else number >= last):
                return found, False  # pages that lead in a circle
            found[number], last = dict(zip(names, values, strict=True)), number
    except sqlite3.DatabaseError as error:
        return found, "no such table" in str(error)
    return found, True


def _probe(
    connection: sqlite3.Connection, table: Table, before: dict[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Rows after those that a scan from the front has given, one by one."""
    first = max(before, default=0) + 1
    found: dict[int, dict[str, Any]] = {}
    wanted = f'SELECT * FROM "{table.name}" WHERE rowid = ?'  # noqa: S608  a name of our own
    for number in range(first, first + _FURTHEST_PROBED):
        with contextlib.suppress(sqlite3.DatabaseError):
            cursor = connection.execute(wanted, (number,))
            values = cursor.fetchone()
            if values is not None:
                found[number] = dict(zip([one[0] for one in cursor.description], values, strict=True))
    return found


def _row(table: Table, columns: dict[str, Any]) -> dict[str, Any] | None:
    """The values as Python knows them; None where one cannot be. A column of a later version is left out, one
    that an earlier version did not have is as the table makes it.
    """
    try:
        return {
            column.name: _value(column, columns[column.name])
            for column in table.columns
            if column.name in columns
        }
    except (RecursionError, TypeError, ValueError):
        return None


def _value(column: Column[Any], raw: Any) -> Any:
    if raw is None:
        if column.nullable:
            return None
        raise ValueError(f"{column.name} is missing")
    kind = column.type.python_type
    if kind is bool:
        return bool((0, 1).index(raw))
    if kind in (int, float):
        if not isinstance(raw, int if kind is int else (int, float)):
            raise ValueError(f"{column.name} is no number")
        return raw
    text = raw.decode() if isinstance(raw, bytes) else str(raw)
    return datetime.fromisoformat(text) if kind is datetime else _text(column.name, text)


def _text(name: str, text: str) -> str:
    if name == "sha256" and not _DIGEST.fullmatch(text):
        raise ValueError("no digest")
    if name.endswith("_json") and text:
        json.loads(text)
    return text
