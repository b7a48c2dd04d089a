"""A real signed bundle, prepared stores, and real results read by the real worker code."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache

from device_app import KioskConfig, WorkerLimits, create_app
from device_app.access import people as people_module
from device_app.access import sessions as sessions_module
from device_app.store import Store, open_store, prepare_store
from device_app.store.records import Receipt, Upload
from device_app.worker import read_picture
from runtime.bundle import open_bundle
from runtime.detector import Detector, from_bundle
from runtime.trust import TrustStore, generate_key, save_public_key
from tests.device_app import sample


@pytest.fixture(scope="session", autouse=True)
def compiled_templates(tmp_path_factory) -> Iterator[None]:
    """Kept from one test's kiosk to the next: compiling them took more than a third of the time."""
    cache = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", cache)
        yield


@pytest.fixture(scope="session")
def kiosk_keys(tmp_path_factory):
    key = generate_key()
    path = tmp_path_factory.mktemp("trust") / "maker.pem"
    save_public_key(key.public_key(), path)
    return key, path


@pytest.fixture(scope="session")
def kiosk_bundle(tmp_path_factory, kiosk_keys) -> Path:
    root = tmp_path_factory.mktemp("bundles") / "gap-finder"
    sample.make_bundle(root, kiosk_keys[0])
    return root


@pytest.fixture(scope="session")
def detector(kiosk_bundle, kiosk_keys) -> Iterator[Detector]:
    with from_bundle(open_bundle(kiosk_bundle, TrustStore.from_paths(kiosk_keys[1])), sample.KEY) as opened:
        yield opened


@pytest.fixture
def config(tmp_path, kiosk_bundle, kiosk_keys) -> KioskConfig:
    return KioskConfig(
        bundle=kiosk_bundle,
        data_dir=tmp_path / "data",
        trust=(kiosk_keys[1],),
        port=0,
        threads=1,
        max_upload_bytes=64 << 20,
        reserve_bytes=0,
        page_size=3,
        limits=WorkerLimits(first_pause_s=0.05, longest_pause_s=0.5),
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, kiosk_bundle) -> Path:
    """A data folder as the first start leaves it, made once: most tests begin with one."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare_store(KioskConfig(bundle=kiosk_bundle, data_dir=folder, reserve_bytes=0))
    return folder


@pytest.fixture
def store(config, prepared) -> Iterator[Store]:
    shutil.copytree(prepared, config.data_dir, dirs_exist_ok=True)
    opened = open_store(config)
    yield opened
    opened.close()


@pytest.fixture
def receive(store) -> Callable[..., Receipt]:
    """Hand bytes to the store as an upload."""

    def hand_over(data: bytes, name: str = "picture.png", label: str = "") -> Receipt:
        return store.records.receive(io.BytesIO(data), Upload(name, label))

    return hand_over


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock that sessions and locks go by."""
    now = [datetime(2026, 1, 1, 12)]
    for module in (people_module, sessions_module):
        monkeypatch.setattr(module, "now_utc", lambda: now[0])

    def move(by: timedelta) -> None:
        now[0] += by

    return move


@pytest.fixture
def work_off(store, detector) -> Callable[[], int]:
    """Read everything that waits, with the worker's own code, in this process."""

    def work() -> int:
        count = 0
        while (claim := store.queue.claim("here")) is not None:
            assert store.queue.complete(claim, read_picture(claim, store, detector))
            count += 1
        return count

    return work


@pytest.fixture
def client(config, store) -> FlaskClient:
    app = create_app(config)
    app.testing = True
    return app.test_client()


class FixedReader:
    """A reader in one state."""

    def __init__(self, status):
        self._status = status

    def status(self):
        return self._status

    def wake(self):
        pass


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until the condition holds; fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def overwrite_database(config: KioskConfig, store: Store) -> None:
    """Spoil every page of the database but the first, as a failing disk does while the kiosk runs."""
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = config.data_dir / "kiosk.sqlite3"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
