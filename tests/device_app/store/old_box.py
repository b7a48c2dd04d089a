"""A data folder as the first version of the kiosk left it when it was switched off: revision 0001."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine

from device_app.store import DATABASE_NAME
from device_app.store.migrate import MIGRATIONS

ANSWERED = b"old and answered " * 1000
WAITING = b"old and waiting " * 1000
PICTURES = (ANSWERED, WAITING)
_RECEIVED = "2026-01-05 08:00:00.000000"


def make(folder: Path) -> None:
    """One examination with two pictures: the first has its answer, the second was being read.

    Its last commits lie in the write-ahead log, as after a power failure.
    """
    data = folder / "data"
    for picture in PICTURES:
        path = data / "images" / digest(picture)[:2] / digest(picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    template = folder / "first.sqlite3"
    _first_revision(template)
    with sqlite3.connect(template) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        _fill(connection)
        connection.commit()
        for suffix in ("", "-wal"):
            copied = template.with_name(template.name + suffix).read_bytes()
            (data / f"{DATABASE_NAME}{suffix}").write_bytes(copied)
    connection.close()
    template.unlink()


def digest(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def _first_revision(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO examinations (id, public_id, received_utc, source, patient_label) "
        "VALUES (1, 'old', ?, 'upload', 'P 0')",
        (_RECEIVED,),
    )
    for number, picture in enumerate(PICTURES, start=1):
        connection.execute(
            "INSERT INTO images (id, examination_id, sha256, size_bytes, file_name, received_utc) "
            "VALUES (?, 1, ?, ?, 'old.png', ?)",
            (number, digest(picture), len(picture), _RECEIVED),
        )
    connection.executemany(
        "INSERT INTO jobs (id, image_id, state, attempts, deaths, lease_owner, failure, detail) "
        "VALUES (?, ?, ?, 1, 0, ?, '', '')",
        [(1, 1, "done", ""), (2, 2, "working", "gone")],
    )
    connection.execute(
        "INSERT INTO results (image_id, verdict, findings_json, bundle_sha256, created_utc) "
        "VALUES (1, 'none', ?, ?, ?)",
        (f'"{digest(ANSWERED)}"', "0" * 64, _RECEIVED),
    )
