"""Mends a data folder whose database is damaged or gone: `ulna mend`, and the page of a box in safe mode.

damaged -> new one beside, whole -> named `.mended` -> the damaged one put aside -> `.mended` takes its place

Nothing is deleted: what was damaged lies in `set-aside/DATE/`. It may be killed at any point and begun again:
until the last rename the old database is in its place, and a `.mended` one that is there is finished.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from device_app.store import DATABASE_NAME, MENDED_SUFFIX, FolderLock
from device_app.store.copies import COPIES_FOLDER, copies
from device_app.store.database import FILE_ERRORS, Database, disk_full, is_disk_full, now_utc, said_of
from device_app.store.files import ASIDE_FOLDER, stored_pictures
from device_app.store.log import Action
from device_app.store.models import AuditEntry
from device_app.store.recover import Recovered, recover
from device_app.store.recover_source import Condition, Examined, examine
from runtime.durable import sync_folder
from runtime.errors import StoreError

_PART = ".mending"
_TRAILERS = ("-wal", "-shm", "-journal")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Mended:
    """What was done. aside: where the damaged database lies now, None where there was none."""

    recovered: Recovered
    aside: Path | None


def condition(folder: Path) -> Examined:
    """How the database of a data folder is; one that is not there yet is sound as long as no picture is."""
    found = examine(folder / DATABASE_NAME)
    if found.condition is Condition.MISSING and not any(stored_pictures(folder)):
        return Examined(Condition.SOUND)
    return found


def can_be_mended(found: Examined) -> bool:
    """Whether `mend` does something about it."""
    return found.condition in (Condition.DAMAGED, Condition.MISSING)


def mend(folder: Path, actor: str, say: Say = lambda _: None) -> Mended | None:
    """Mend a data folder; None where its database is sound. actor: who asks, as the log names them.

    Raises FolderHeldError where a kiosk is at work on it, StoreError where the database is of a newer version
    or cannot be opened at all, DiskFullError. Everything is as it was then.
    """
    with FolderLock(folder):
        found = condition(folder)
        if found.condition is Condition.SOUND:
            return None
        if not can_be_mended(found):
            raise StoreError(f"the database cannot be mended: {found.detail}", _hint(found))
        try:
            return _mend(folder, actor, say)
        except (OSError, *FILE_ERRORS) as error:
            if is_disk_full(error):
                raise disk_full() from error
            raise StoreError(f"it cannot be mended: {said_of(error)}", "look after the disk first") from error


def _hint(found: Examined) -> str:
    if found.condition is Condition.NEWER:
        return "start the newer version of Ulna"
    return "let this user read and write the data folder, then look again"


def _mend(folder: Path, actor: str, say: Say) -> Mended:
    path = folder / DATABASE_NAME
    ready = path.with_name(DATABASE_NAME + MENDED_SUFFIX)
    if examine(ready).condition is not Condition.SOUND:
        say("reading what can be read of the damaged database")
        _build(folder, ready, actor)
    say("putting the damaged database aside")
    aside = _put_aside(path)
    ready.replace(path)
    sync_folder(folder)
    return Mended(_recovered(path), aside)


def _build(folder: Path, ready: Path, actor: str) -> None:
    part = folder / (DATABASE_NAME + _PART)
    for suffix in ("", *_TRAILERS):
        part.with_name(part.name + suffix).unlink(missing_ok=True)
    recover(part, (folder / DATABASE_NAME, *copies(folder)[:1]), folder, actor)
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(ready)
    sync_folder(folder)


def _put_aside(path: Path) -> Path | None:
    """Give the damaged files a second name, durably; only then may the first one go.

    The copies go with it: numbers that the mended database gives anew mean something else in them.
    """
    here = [one for suffix in ("", *_TRAILERS) if (one := path.with_name(path.name + suffix)).exists()]
    kept = path.parent / COPIES_FOLDER
    if not here and not kept.exists():
        return None
    aside = _aside_of(path)
    for one in here:
        _link(one, aside / one.name)
    if kept.exists():
        kept.rename(aside / COPIES_FOLDER)
    sync_folder(aside)
    sync_folder(aside.parent)
    for one in here[1:] if here and here[0] == path else here:
        one.unlink()  # a log left beside the new database would be replayed into it
    sync_folder(path.parent)
    return aside


def _aside_of(path: Path) -> Path:
    """The folder where it lies already, from a run that was killed, else a new one named by the date."""
    root = path.parent / ASIDE_FOLDER
    root.mkdir(mode=0o700, exist_ok=True)
    for folder in sorted(root.iterdir(), reverse=True):
        twin = folder / path.name
        if path.exists() and twin.exists() and twin.samefile(path):
            return folder
    name = now_utc().strftime("%Y-%m-%dT%H%M%SZ")
    taken = len([one for one in root.iterdir() if one.name.startswith(name)])
    folder = root / (f"{name}-{taken + 1}" if taken else name)
    folder.mkdir(mode=0o700)
    sync_folder(root)
    return folder


def _link(source: Path, target: Path) -> None:
    """A second name; a second copy where the file system has none."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def _recovered(path: Path) -> Recovered:
    """As the log of the mended database says."""
    database = Database(path)
    try:
        with database.read() as session:
            wanted = select(AuditEntry.detail_json).where(AuditEntry.action == str(Action.MENDED))
            detail = json.loads(session.scalars(wanted.order_by(AuditEntry.number.desc()).limit(1)).one())
    finally:
        database.close()
    return Recovered(**{**detail, "tables_damaged": tuple(detail["tables_damaged"])})
