"""Verified copies of the database, one a day, of which the newest few are kept.

They lie in the data folder, behind the same encryption as the database, and help against a damaged file, not
against a lost disk. One is only ever removed once a newer one has been found sound.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from device_app.store.database import FILE_ERRORS, check_integrity, disk_full, is_disk_full, said_of
from runtime.durable import sync_folder
from runtime.errors import StoreError

COPIES_FOLDER = "copies"
EVERY = timedelta(hours=24)
KEPT = 3
_NAME = re.compile(r"kiosk-(\d{8}T\d{6})Z\.sqlite3\Z")
_FORM = "%Y%m%dT%H%M%S"
_PART = ".part"


def copies(folder: Path) -> tuple[Path, ...]:
    """Those of a data folder, newest first."""
    found = (folder / COPIES_FOLDER).glob("*.sqlite3")
    return tuple(sorted((path for path in found if _moment(path) is not None), reverse=True))


def is_due(folder: Path, now_utc: datetime) -> bool:
    """Whether the newest is a day old, or from a time that has not come yet by this clock."""
    newest = next(iter(copies(folder)), None)
    if newest is None:
        return True
    age = now_utc - made_utc(newest)
    return age >= EVERY or age < -EVERY


def made_utc(path: Path) -> datetime:
    """When a copy was made, by the box's clock."""
    found = _moment(path)
    assert found is not None
    return found


def _moment(path: Path) -> datetime | None:
    """None for a file that no copy of ours is called like."""
    found = _NAME.match(path.name)
    try:
        return datetime.strptime(found[1], _FORM) if found else None  # without a zone, like the tables
    except ValueError:
        return None


def make_copy(database: Path, now_utc: datetime, reserve_bytes: int) -> Path:
    """Copy, check, keep; then let the oldest go. The kiosk may go on writing meanwhile.

    Raises DiskFullError where the copy would take what intake keeps free, StoreError for a copy that is not
    sound: then the database is not either, and every older copy stays.
    """
    folder = database.parent / COPIES_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob(f"*{_PART}*"):
        left.unlink()
    if shutil.disk_usage(folder).free - database.stat().st_size < reserve_bytes:
        raise disk_full()
    target = folder / _name(folder, now_utc)
    part = target.with_suffix(_PART)
    try:
        _backup(database, part)
        check_integrity(part)
    except (OSError, *FILE_ERRORS) as error:
        raise disk_full() if is_disk_full(error) else StoreError(f"no copy: {said_of(error)}") from error
    part.replace(target)
    sync_folder(folder)
    for old in copies(database.parent)[KEPT:]:
        old.unlink()
    return target


def _name(folder: Path, now_utc: datetime) -> str:
    """By the clock, and after every other: a copy must not be taken for older because the clock went back."""
    newest = next(iter(copies(folder.parent)), None)
    when = now_utc if newest is None else max(now_utc, made_utc(newest) + timedelta(seconds=1))
    return f"kiosk-{when.strftime(_FORM)}Z.sqlite3"


def _backup(database: Path, part: Path) -> None:
    """In one reading transaction, which holds up no writer."""
    source = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    target = sqlite3.connect(part)
    try:
        part.chmod(0o600)
        source.backup(target)
        target.execute("PRAGMA synchronous=FULL")
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()
        source.close()
    with part.open("rb") as file:
        os.fsync(file.fileno())
