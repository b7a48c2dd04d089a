"""Whatever pages of a database are lost, mending ends in a sound one that knows every picture."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from device_app import KioskConfig
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.mend import condition, mend
from device_app.readings import Draft, Judgement, Kind
from device_app.settings import Settings
from device_app.store import Store, open_store, prepare_store, recover_source
from device_app.store.consent import Consents
from device_app.store.copies import COPIES_FOLDER, make_copy
from device_app.store.database import now_utc
from device_app.store.models import Base
from device_app.store.queue import ReadResult
from device_app.store.records import Upload
from device_app.store.recover_source import Condition
from device_app.store.removal import Removal
from tests.device_app import broken

SEEDS = range(48)
PICTURES, NEWER, REMOVED = 24, 6, 2
PAGE_BYTES = 512
"""Small, so that a few rows fill many pages."""
_LEAF, _INTERIOR = 0x0D, 0x05
TABLES = (*(table.name for table in Base.metadata.sorted_tables), "sqlite_master")


def config_of(folder: Path) -> KioskConfig:
    return KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A box with rows in every table that speak of each other, and a copy that is older."""
    folder = tmp_path_factory.mktemp("whole")
    config = config_of(folder)
    store = filled(config, PICTURES)
    ada = People(store.database).add("Ada", Role.ADMINISTRATOR, "574038", "box")
    Settings(store.database).change("box", clinic="Kilimani")
    visits = [one.public_id for one in store.records.history(1, 99).examinations]
    for first, second in ((0, 1), (1, 2), (3, 4), (5, 4)):
        store.grouping.join(visits[first], visits[second], "box")
    for address in visits[6:12]:
        store.readings.add(address, Draft(Kind.SECOND, Judgement.NONE), ada.public_id, lambda _: "none")
        Consents(store.database).give(address, ada.public_id)
    make_copy(broken.database(config.data_dir), now_utc(), 0)
    store.close()
    store = filled(config, NEWER, first=PICTURES)
    store.grouping.join(visits[2], visits[6], "box")
    with store.database.read() as session:
        ended = [row for (row,) in session.connection().exec_driver_sql("SELECT image_id FROM results")]
    assert Removal(store.database, store.files).remove(ended[-REMOVED:], now_utc()) == REMOVED
    broken.settled(store, config.data_dir)
    _cut_into_pages(broken.database(config.data_dir))
    return folder


def filled(config: KioskConfig, pictures: int, first: int = 0) -> Store:
    """Without labels, so that any two can be joined; every second one is answered."""
    prepare_store(config)
    store = open_store(config)
    for number in range(first, first + pictures):
        store.records.receive(io.BytesIO(b"picture %d" % number), Upload(f"{number}.png"))
        if number % 2:
            claim = store.queue.claim("worker")
            assert claim is not None
            assert store.queue.complete(claim, ReadResult("none", json.dumps({"words": "x" * 300}), "0" * 64))
    return store


def _cut_into_pages(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("VACUUM")
    connection.close()


def leaves(path: Path, table: str) -> list[int]:
    """Numbers of the pages that hold a table's rows."""
    if table == "sqlite_master":
        return _leaves(path.read_bytes(), 1)
    connection = sqlite3.connect(path)
    wanted = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
    root = connection.execute(wanted, (table,)).fetchone()[0]
    connection.close()
    return _leaves(path.read_bytes(), root)


def _leaves(data: bytes, number: int) -> list[int]:
    start = (number - 1) * PAGE_BYTES
    head = start + (100 if number == 1 else 0)
    if data[head] == _LEAF:
        return [number]
    assert data[head] == _INTERIOR
    cells = int.from_bytes(data[head + 3 : head + 5])
    places = [int.from_bytes(data[head + 12 + 2 * cell :][:2]) for cell in range(cells)]
    children = [int.from_bytes(data[start + place :][:4]) for place in places]
    children.append(int.from_bytes(data[head + 8 : head + 12]))
    return [leaf for child in children for leaf in _leaves(data, child)]


def damage(path: Path, chance: random.Random) -> None:
    """Some or all pages of a few tables, in one of the ways in which pages go wrong."""
    data = bytearray(path.read_bytes())
    for table in chance.sample(TABLES, chance.randint(1, 4)):
        pages = leaves(path, table)
        count = len(pages) if chance.random() < 0.5 else chance.randint(1, len(pages))
        for page in chance.sample(pages, count):
            _spoil(data, (page - 1) * PAGE_BYTES, chance)
    path.write_bytes(data)


def _spoil(data: bytearray, start: int, chance: random.Random) -> None:
    kind = chance.choice(("zero", "noise", "bytes"))
    if kind == "zero":
        data[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)
    elif kind == "noise":
        data[start : start + PAGE_BYTES] = chance.randbytes(PAGE_BYTES)
    else:
        for _ in range(4):
            data[start + chance.randrange(PAGE_BYTES)] = chance.randrange(256)


def check(folder: Path, pictures: int) -> None:
    """Sound, started again, and every picture that is there is in one examination that can be found."""
    config = config_of(folder)
    assert condition(config.data_dir).condition is Condition.SOUND
    prepare_store(config)
    store = open_store(config)
    found = store.records.history(1, 999).examinations
    known = [image.sha256 for one in found for image in one.images]
    here = {path.name for path in (config.data_dir / "images").glob("*/*")}
    assert len(known) == len({*known}) and here <= {*known} and len(here) == pictures
    with store.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT public_id FROM examinations").all()
    for (address,) in rows:
        assert store.records.examination(address) is not None
    store.close()


@pytest.mark.parametrize("tables", [("images", "audit"), ("images", "audit", "results")])
def test_examinations_that_led_to_one_without_a_picture_go_with_it(whole, tmp_path, tables):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "data" / COPIES_FOLDER)
    path = broken.database(tmp_path / "data")
    data = bytearray(path.read_bytes())
    for start in [(page - 1) * PAGE_BYTES for table in tables for page in leaves(path, table)]:
        data[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)
    done = mend(tmp_path / "data", "box")
    assert done is not None and done.recovered.dropped > 0
    check(tmp_path, PICTURES + NEWER - REMOVED)


def test_examinations_that_lead_to_each_other_lead_nobody_astray(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    path = broken.database(tmp_path / "data")
    with sqlite3.connect(path) as connection:
        joined = connection.execute("SELECT id FROM examinations WHERE joined_into_id IS NOT NULL").fetchall()
        for (one,), (other,) in zip(joined, [*joined[1:], joined[0]], strict=True):
            connection.execute("UPDATE examinations SET joined_into_id = ? WHERE id = ?", (other, one))
        connection.execute("DROP TABLE settings")
    connection.close()
    mend(tmp_path / "data", "box")
    check(tmp_path, PICTURES + NEWER - REMOVED)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_pages_are_lost_mending_ends_in_a_sound_database(whole, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(recover_source, "_FURTHEST_PROBED", 4 * PICTURES)
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    chance = random.Random(seed)
    if chance.random() < 0.6:
        shutil.rmtree(tmp_path / "data" / COPIES_FOLDER)
    damage(broken.database(tmp_path / "data"), chance)
    mend(tmp_path / "data", "box")
    check(tmp_path, PICTURES + NEWER - REMOVED)
