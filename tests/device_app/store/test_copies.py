"""Copies of the database: verified, few, and never given up for one that is not sound."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from device_app.housekeeping import Housekeeping
from device_app.store.copies import EVERY, KEPT, copies, is_due, made_utc, make_copy
from device_app.store.database import check_integrity
from runtime.errors import DiskFullError, StoreError
from tests.device_app import broken
from tests.device_app.conftest import wait_until

NOW = datetime(2026, 3, 1, 2)


def test_one_is_made_while_the_kiosk_writes_and_it_is_sound(config):
    store = broken.filled(config, 6)
    with store.database.write():
        made = make_copy(broken.database(config.data_dir), NOW, 0)
    check_integrity(made)
    assert made_utc(made) == NOW and copies(config.data_dir) == (made,)
    assert made.stat().st_mode & 0o077 == 0, "others may read it"
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    store.close()


def test_the_newest_few_are_kept(config):
    broken.filled(config, 2).close()
    made = [make_copy(broken.database(config.data_dir), NOW + timedelta(days=day), 0) for day in range(6)]
    assert copies(config.data_dir) == tuple(reversed(made[-KEPT:]))


def test_a_clock_that_was_set_back_makes_no_copy_the_older_one(config):
    broken.filled(config, 2).close()
    path = broken.database(config.data_dir)
    first, second = make_copy(path, NOW, 0), make_copy(path, NOW - timedelta(days=400), 0)
    assert copies(config.data_dir) == (second, first)


def test_one_is_due_after_a_day_and_after_a_clock_that_jumped(config):
    broken.filled(config, 2).close()
    assert is_due(config.data_dir, NOW)
    make_copy(broken.database(config.data_dir), NOW, 0)
    assert not is_due(config.data_dir, NOW + EVERY / 2) and is_due(config.data_dir, NOW + EVERY)
    assert is_due(config.data_dir, NOW - timedelta(days=30))


def test_a_damaged_database_costs_no_older_copy(config):
    store = broken.filled(config)
    path = broken.database(config.data_dir)
    kept = [make_copy(path, NOW + timedelta(days=day), 0) for day in range(KEPT)]
    broken.spoil_last_pages(broken.settled(store, config.data_dir))
    with pytest.raises(StoreError):
        make_copy(path, NOW + timedelta(days=9), 0)
    assert copies(config.data_dir) == tuple(reversed(kept))


def test_a_disk_with_little_room_gets_none(config):
    broken.filled(config, 2).close()
    with pytest.raises(DiskFullError):
        make_copy(broken.database(config.data_dir), NOW, 1 << 60)
    assert not copies(config.data_dir)


def test_a_running_kiosk_makes_one_by_itself(config, store, client, monkeypatch):
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    with Housekeeping(client.application):
        wait_until(lambda: copies(config.data_dir))


@pytest.mark.parametrize("name", ["20261399T000000Z", "20260101T250000Z", "soon"])
def test_a_name_with_a_date_that_cannot_be_is_no_copy(config, store, name):
    folder = config.data_dir / "copies"
    folder.mkdir(exist_ok=True)
    stray = folder / f"kiosk-{name}.sqlite3"
    stray.write_bytes(b"x")
    assert copies(config.data_dir) == () and is_due(config.data_dir, NOW)
    made = make_copy(config.data_dir / "kiosk.sqlite3", NOW, 0)
    assert copies(config.data_dir) == (made,) and stray.exists()
