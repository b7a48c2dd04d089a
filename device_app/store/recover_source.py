"""Reads what can be read of a database that may be damaged; writes nothing.

Rows are looked for from the first on, from the last back, and between the two one by one, because a page that
is damaged ends a scan and the rows behind it are sound. What SQLite gives out of a damaged page may be
anything, so that each value must be one that its column can hold. A few letters that are none cost those
letters, not the row.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table

from device_app.store.database import FILE_ERRORS, decoded, integrity_fault, said_of
from device_app.store.migrate import head, known_revisions
from device_app.store.models import Base

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FURTHEST_PROBED = 50_000
"""Rows looked for one by one."""
HIGHEST = 1 << 53
"""No number of ours comes near it; one that a bit has made larger would leave none for the next row."""
_MOST_LETTERS_LOST = 3
"""In one text: a bit that flips costs so many, a page that was overwritten more."""


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
    """The file, for reading. Raises FILE_ERRORS.

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
        return Examined(kind, detail=said_of(error))
    except FILE_ERRORS as error:
        return Examined(Condition.DAMAGED, detail=said_of(error))


def fault_of(connection: sqlite3.Connection, tables: Iterable[Table], texts: bool = True) -> str:
    """The first thing that tables hold and cannot, by table and column; "" for nothing. What an earlier
    version did not have is not missed.

    texts: look at those too. It quotes no value, which may be a patient's. Raises FILE_ERRORS.
    """
    connection.text_factory = bytes
    tables = list(tables)
    missing, there = missing_from(connection, tables), _tables(connection)
    if missing:
        return f"the table {min(missing)} is missing"
    for table in (one for one in tables if one.name in there):
        fault = _broken_check(connection, table) or _spoilt_column(connection, table, texts)
        if fault:
            return f"{table.name}: {fault}"
    return ""


def missing_from(connection: sqlite3.Connection, tables: Iterable[Table]) -> frozenset[str]:
    """Names of tables that are not there and must be: an earlier version had fewer."""
    there = _tables(connection)
    lost = frozenset(table.name for table in tables) - there
    return lost if _revision(connection) in (None, head()) else frozenset()


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
    except FILE_ERRORS:
        connection.close()
        raise
    return connection


def _examine(connection: sqlite3.Connection) -> Examined:
    fault = integrity_fault(connection)
    connection.text_factory = bytes
    if fault:
        return Examined(Condition.DAMAGED, detail=fault)
    revision = _revision(connection)
    if revision is None:
        return Examined(Condition.MISSING, detail="it holds no table of ours")
    if revision not in known_revisions():
        newer = f"it is of a newer version ({revision}) than this program"
        return Examined(Condition.NEWER, revision, newer)
    fault = fault_of(connection, Base.metadata.sorted_tables)
    return Examined(Condition.DAMAGED, revision, fault) if fault else Examined(Condition.SOUND, revision)


def _revision(connection: sqlite3.Connection) -> str | None:
    """None for a database that is none of ours."""
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    return None if found is None else decoded(found[0])


def _tables(connection: sqlite3.Connection) -> frozenset[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return frozenset(decoded(name) for (name,) in rows)


def _broken_check(connection: sqlite3.Connection, table: Table) -> str:
    """The name of a CHECK that a row breaks: SQLite looks at none in a file that it only reads."""
    for check in table.constraints:
        if isinstance(check, CheckConstraint):
            wanted = f'SELECT 1 FROM "{table.name}" WHERE NOT ({check.sqltext}) LIMIT 1'  # noqa: S608
            if connection.execute(wanted).fetchone() is not None:
                return f"a row breaks {check.name}"
    return ""


def _spoilt_column(connection: sqlite3.Connection, table: Table, texts: bool) -> str:
    there = {decoded(row[1]) for row in connection.execute(f'PRAGMA table_info("{table.name}")')}
    if _revision(connection) == head() and not {column.name for column in table.columns} <= there:
        return "a column is missing"
    typed = [column for column in table.columns if texts or column.type.python_type is not str]
    columns = [column for column in typed if column.name in there]
    wanted = ", ".join(f'"{column.name}"' for column in columns) or "NULL"
    for values in connection.execute(f'SELECT {wanted} FROM "{table.name}"'):  # noqa: S608  names of our own
        for column, raw in zip(columns, values, strict=bool(columns)):
            if not _fits(column, raw):
                return f"{column.name} holds what it cannot"
    return ""


def _fits(column: Column[Any], raw: Any) -> bool:
    try:
        _value(column, raw)
    except (RecursionError, TypeError, ValueError):
        return False
    return True


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
    except FILE_ERRORS as error:
        return found, "no such table" in str(error)
    return found, True


def _probe(
    connection: sqlite3.Connection, table: Table, before: dict[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Rows after those that a scan from the front has given, one by one."""
    first = max((number for number in before if number < HIGHEST), default=0) + 1
    found: dict[int, dict[str, Any]] = {}
    wanted = f'SELECT * FROM "{table.name}" WHERE rowid = ?'  # noqa: S608  a name of our own
    for number in range(first, first + _FURTHEST_PROBED):
        with contextlib.suppress(*FILE_ERRORS):
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
        if not abs(raw) < HIGHEST:
            raise ValueError(f"{column.name} is too large")
        return raw
    text = _letters(raw) if isinstance(raw, bytes) else str(raw)
    return datetime.fromisoformat(text) if kind is datetime else _text(column.name, text)


def _letters(raw: bytes) -> str:
    """Raises ValueError for bytes that were never a text."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = decoded(raw)
        if text.count("\ufffd") > _MOST_LETTERS_LOST:
            raise ValueError("no text") from None
        return text


def _text(name: str, text: str) -> str:
    if name == "sha256" and not _DIGEST.fullmatch(text):
        raise ValueError("no digest")
    if name.endswith("_json") and text:
        json.loads(text)
    return text
