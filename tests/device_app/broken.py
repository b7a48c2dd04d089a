"""Data folders and bundles broken in the ways that disks, hands and updates break them."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from device_app import KioskConfig
from device_app.store import DATABASE_NAME, Store, open_store, prepare_store
from device_app.store.log import KIOSK, Action
from device_app.store.queue import ReadResult
from device_app.store.records import Upload
from tests.device_app import sample

PAGE_BYTES = 4096


def filled(config: KioskConfig, pictures: int = 40, first: int = 0) -> Store:
    """A store with pictures under labels, every second one answered; open."""
    prepare_store(config)
    store = open_store(config)
    for number in range(first, first + pictures):
        content = io.BytesIO(b"picture %d" % number * 50)
        store.records.receive(content, Upload(f"{number}.png", label(number)))
        if number % 2:
            claim = store.queue.claim("worker")
            assert claim is not None
            said = json.dumps({"of": claim.sha256, "words": "x" * 600})
            assert store.queue.complete(claim, ReadResult("none", said, "0" * 64))
    return store


def note(store: Store, times: int) -> None:
    """So many entries of the log."""
    for _ in range(times):
        store.log.note(KIOSK, Action.SIGNED_OUT)


def spoil(store: Store, statement: str) -> None:
    """By somebody with the database in hand."""
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def label(number: int) -> str:
    return f"patient {number}"


def database(folder: Path) -> Path:
    return folder / DATABASE_NAME


def settled(store: Store, folder: Path) -> Path:
    """Everything in the one file, closed."""
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    connection_of(folder).close()
    return database(folder)


def connection_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(database(folder))


def overwrite(path: Path, first_byte: int, size_bytes: int) -> None:
    with path.open("r+b") as file:
        file.seek(first_byte)
        file.write(b"\xa5" * size_bytes)


def spoil_header(path: Path) -> None:
    overwrite(path, 0, 200)


def spoil_schema(path: Path) -> None:
    """Bytes that are no text, in what SQLite quotes when it cannot understand it."""
    data = bytearray(path.read_bytes())
    start = data.find(b"CREATE TABLE settings")
    data[start + 7] = data[start + 13] = 0xBB
    path.write_bytes(data)


def spoil_all_but_header(path: Path) -> None:
    overwrite(path, PAGE_BYTES, path.stat().st_size - PAGE_BYTES)


def spoil_last_pages(path: Path) -> None:
    overwrite(path, path.stat().st_size - 3 * PAGE_BYTES, 2 * PAGE_BYTES)


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def lose(path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Callable[[Path], None], ...] = (
    spoil_header,
    spoil_schema,
    spoil_all_but_header,
    spoil_last_pages,
    cut_in_half,
    empty,
    lose,
)


def make_newer(folder: Path) -> None:
    connection = connection_of(folder)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


def kiosk_with_pictures(config: KioskConfig) -> None:
    """Real ones, which the sample's bundle can read, not yet read."""
    prepare_store(config)
    store = open_store(config)
    for number, gap in enumerate((sample.NONE, sample.FRACTURE)):
        content = io.BytesIO(sample.picture(gap, seed=number))
        store.records.receive(content, Upload(f"{number}.png", label(number)))
    settled(store, config.data_dir)
