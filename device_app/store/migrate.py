"""Brings the database to this version: on a copy, checked, then swapped in one rename.

old (untouched) -> copy -> Alembic -> integrity check -> fsync -> rename over old -> fsync folder

Until the rename the old file is the database; after it the new one is. A write-ahead log left beside
the old file would be replayed into the new one, so it is folded in and removed before the swap.
"""

from __future__ import annotations

import functools
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, NullPool, create_engine, event

from device_app.store.database import (
    FILE_ERRORS,
    MEND_HINT,
    DatabaseDamagedError,
    check_integrity,
    decoded,
    disk_full,
    is_disk_full,
    said_of,
)
from runtime.durable import sync_folder
from runtime.errors import MigrationError, StoreError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
_HINT = "the stored examinations are untouched; keep a copy of the data folder and ask for help"


def migrate(path: Path) -> bool:
    """Bring `path` to the newest revision; True when something changed. Only while nobody has it open.

    Raises MigrationError when it cannot be done (the old file is as it was), DiskFullError for no room.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        _remove(beside)
        if _revision(path) == head():
            return False
        _copy(path, beside)
        _upgrade(beside)
        _swap(beside, path)
    except MigrationError:
        raise
    except Exception as error:
        if is_disk_full(error) or "disk is full" in str(error):
            raise disk_full() from error
        message = f"the database cannot be brought to this version: {said_of(error)}"
        raise MigrationError(message, _hint_for(error)) from None  # the cause may quote what a row holds
    finally:
        _remove(beside)
    return True


@functools.cache
def head() -> str:
    """The newest revision, which is this version's."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def is_current(path: Path) -> bool:
    """Whether a database is of this version. Raises StoreError for one that is damaged."""
    return _revision(path) == head()


def known_revisions() -> frozenset[str]:
    """Those that this version can bring to its own."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def has_tables(path: Path) -> bool:
    """Whether there is a database with anything in it; a damaged one has."""
    if not path.exists() or (path.stat().st_size == 0 and not path.with_name(f"{path.name}-wal").exists()):
        return False
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except FILE_ERRORS:
        return True
    finally:
        connection.close()


def _hint_for(error: Exception) -> str:
    return MEND_HINT if isinstance(error, DatabaseDamagedError) else _HINT


def _engine(path: Path) -> Engine:
    """Reads what the kiosk can read, spoilt letters too; its errors hold no row."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.text_factory = decoded

    return engine


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    # The process that reads pictures opens the store too and migrates nothing: it starts sooner without.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _revision(path: Path) -> str | None:
    """The database's revision, None for a new one. Raises MigrationError for one we do not know."""
    if not path.exists():
        return None
    from alembic.runtime.migration import MigrationContext

    check_integrity(path)
    with _engine(path).connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in known_revisions():
        raise MigrationError(
            f"the database is of a newer version ({revision}) than this program ({head()})",
            hint="start the newer version of Ulna",
        )
    return revision


def _copy(path: Path, beside: Path) -> None:
    """A consistent copy, write-ahead log included; an empty database where there is none yet."""
    target = sqlite3.connect(beside)
    try:
        if path.exists():
            source = sqlite3.connect(path)
            try:
                source.backup(target)
            finally:
                source.close()
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()


def _upgrade(beside: Path) -> None:
    from alembic import command

    config = _config()
    with _engine(beside).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    check_integrity(beside)
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(beside: Path, path: Path) -> None:
    if path.exists():
        _fold_in_log(path)
    beside.chmod(0o600)
    beside.replace(path)
    sync_folder(path.parent)


def _fold_in_log(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    finally:
        connection.close()
    if mode != "delete":
        raise StoreError("another program has the database open")


def _remove(beside: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        beside.with_name(beside.name + suffix).unlink(missing_ok=True)
