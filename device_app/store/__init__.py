"""What the kiosk keeps: a database, a content store of files, and the queue between intake and inference."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from device_app.config import KioskConfig
from device_app.store.database import (
    FILE_ERRORS,
    MEND_HINT,
    Database,
    DatabaseDamagedError,
    disk_full,
    is_disk_full,
    said_of,
)
from device_app.store.files import ImageFiles, stored_pictures
from device_app.store.grouping import Grouping
from device_app.store.log import BOX, Action, AuditLog
from device_app.store.migrate import has_tables, migrate
from device_app.store.models import Base
from device_app.store.queue import Queue
from device_app.store.readings import Readings
from device_app.store.records import IntakeLimits, Records
from device_app.store.recover_source import fault_of, opened
from runtime.errors import DiskFullError, StoreError

_log = logging.getLogger("ulna.store")
DATABASE_NAME = "kiosk.sqlite3"
MENDED_SUFFIX = ".mended"
"""Of a database that `ulna mend` has finished and not yet put in its place."""


class FolderHeldError(StoreError):
    """Another kiosk uses the data folder."""


class DatabaseLostError(StoreError):
    """Pictures are there and the database that speaks of them is not."""


@dataclass(frozen=True)
class Store:
    """The parts of one data folder, open."""

    database: Database
    files: ImageFiles
    records: Records
    queue: Queue
    log: AuditLog
    readings: Readings
    grouping: Grouping

    def close(self) -> None:
        """Close the database."""
        self.database.close()


class FolderLock:
    """One kiosk a data folder, until this process ends, however it ends.

    Raises FolderHeldError when another kiosk holds it, StoreError when nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        with _usable(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise FolderHeldError(
                f"another kiosk already uses {folder}", hint="stop it or choose another --data"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def prepare_store(config: KioskConfig) -> None:
    """Once at start-up, under the folder's lock: migrate, end old leases, sweep files that no row speaks of.

    Raises MigrationError, DiskFullError, StoreError for a folder that cannot be used, DatabaseLostError,
    DatabaseDamagedError.
    """
    with _usable(config.data_dir):
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = config.data_dir / DATABASE_NAME
        _require_database(path)
        migrate(path)
        _require_sound(path)
        path.with_name(DATABASE_NAME + MENDED_SUFFIX).unlink(missing_ok=True)  # this one is sound and newer
        store = open_store(config)
        try:
            store.queue.recover()
            _sweep(store)
        finally:
            store.close()


def open_store(config: KioskConfig) -> Store:
    """Open a prepared store; server and worker each open their own."""
    database = Database(config.data_dir / DATABASE_NAME)
    files = ImageFiles(config.data_dir)
    limits = IntakeLimits(config.max_upload_bytes, config.max_waiting, config.reserve_bytes)
    return Store(
        database,
        files,
        Records(database, files, limits),
        Queue(database),
        AuditLog(database),
        Readings(database),
        Grouping(database),
    )


def _require_database(path: Path) -> None:
    """A new database would know of no picture, and what no database knows of is shown to nobody."""
    if has_tables(path) or not any(stored_pictures(path.parent)):
        return
    raise DatabaseLostError(
        f"{path.name} is gone or empty, and there are pictures in {path.parent}",
        hint=MEND_HINT,
    )


def _require_sound(path: Path) -> None:
    """What would end a page is said at the start. A text that is none ends no page."""
    try:
        with opened(path) as connection:
            fault = fault_of(connection, Base.metadata.sorted_tables, texts=False)
    except sqlite3.OperationalError as error:  # of the disk, or of who has it open
        raise StoreError(f"{path.name} cannot be read: {said_of(error)}", "look at the disk") from None
    except FILE_ERRORS as error:
        fault = said_of(error)
    if fault:
        raise DatabaseDamagedError(f"{path.name} is damaged: {fault}", MEND_HINT)


def _sweep(store: Store) -> None:
    count = store.files.sweep(store.records.known_digests(), store.records.removed_digests())
    if count:
        _log.warning("%d pictures without a record were set aside; `ulna storage` says more", count)
        with contextlib.suppress(DiskFullError):  # no start needs room; they are counted where they lie
            store.log.note(BOX, Action.SET_ASIDE, pictures=count)


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full() from error
        raise StoreError(
            f"the data folder {folder} cannot be used: {error.strerror}",
            hint="let this user write there or choose another --data",
        ) from error
