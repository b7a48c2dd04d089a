"""A box whose database is replaced by an older copy: pictures that it has confirmed since have no record."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from device_app.config import KioskConfig
from device_app.store import Store, open_store, prepare_store
from device_app.store.copies import make_copy
from device_app.store.database import now_utc
from device_app.store.records import Receipt, Upload


def receive(store: Store, data: bytes) -> Receipt:
    return store.records.receive(io.BytesIO(data), Upload("a.png", "P 1"))


def put_back(config: KioskConfig, kept: Sequence[bytes], lost: Sequence[bytes]) -> None:
    """The copy knows those that are kept; started again, so that the others are set aside."""
    prepare_store(config)
    before = open_store(config)
    for data in kept:
        receive(before, data)
    database = config.data_dir / "kiosk.sqlite3"
    copy = make_copy(database, now_utc(), 0)
    for data in lost:
        receive(before, data)
    before.close()
    exchange(config, copy)


def exchange(config: KioskConfig, copy: Path) -> None:
    """The database for an older one, and start."""
    for path in config.data_dir.glob("kiosk.sqlite3*"):
        path.unlink()
    shutil.copy(copy, config.data_dir / "kiosk.sqlite3")
    prepare_store(config)


def lay_aside(data_dir: Path, data: bytes) -> None:
    """As a start does with a picture of which no row speaks."""
    shelf = data_dir / "set-aside" / "pictures"
    shelf.mkdir(parents=True, exist_ok=True)
    (shelf / hashlib.sha256(data).hexdigest()).write_bytes(data)
