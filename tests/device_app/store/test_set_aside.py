"""A picture that no row speaks of is never removed: its row may be lost, with an older database put back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from device_app.cli import app
from device_app.housekeeping import Housekeeping
from device_app.retention import PROVEN_AFTER, Clock
from device_app.settings import Settings
from device_app.store import open_store, prepare_store
from device_app.store.database import now_utc
from device_app.store.removal import Removal
from tests.device_app import putting_back
from tests.device_app.conftest import wait_until
from tests.device_app.putting_back import receive

OLD, NEW = b"in the copy", b"received since"


@pytest.fixture
def put_back(config):
    """A box whose database was replaced by its copy, which knows one of the two pictures; started."""
    putting_back.put_back(config, [OLD], [NEW])
    store = open_store(config)
    yield store
    store.close()


def test_a_picture_received_since_is_set_aside_and_shown_nowhere(put_back):
    (kept,) = put_back.files.aside()
    assert kept.read_bytes() == NEW
    (one,) = put_back.records.history(1, 9).examinations
    assert put_back.files.read(one.images[0].sha256) == OLD
    last = put_back.log.page(1, 1).entries[0]
    assert (last.actor, last.action, last.detail) == ("box", "pictures_set_aside", {"pictures": 1})


def test_what_was_set_aside_is_said_at_the_box(config, put_back):
    said = CliRunner().invoke(app, ["storage", "--data", str(config.data_dir)])
    assert "set aside, without a record: 1 pictures" in said.output


def test_another_start_says_it_no_second_time(config, put_back):
    before = put_back.log.anchor()
    prepare_store(config)
    assert put_back.log.anchor() == before and len(put_back.files.aside()) == 1


def test_the_same_picture_sent_again_is_taken_in_and_no_longer_kept_aside(config, put_back):
    again = receive(put_back, NEW)
    assert not again.known
    prepare_store(config)
    assert put_back.files.aside() == ()
    (image,) = put_back.records.examination(again.public_id).images
    assert put_back.files.read(image.sha256) == NEW


def test_a_disk_that_refuses_keeps_no_start_and_loses_nothing(config, put_back, monkeypatch):
    monkeypatch.setattr("device_app.store.files.sync_folder", refuse)
    (kept,) = put_back.files.aside()
    place = put_back.files.path(kept.name)
    kept.replace(place)
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    assert put_back.files.sweep(put_back.records.known_digests()) == 0
    assert place.read_bytes() == NEW


def refuse(*_):
    raise OSError(30, "Read-only file system")


def test_it_goes_after_the_clinic_s_days_counted_by_a_clock_that_is_believed(put_back):
    now = now_utc()
    assert put_back.files.sweep_aside(now, 30) == 0
    assert put_back.files.sweep_aside(now + timedelta(days=29), 30) == 0
    (kept,) = put_back.files.aside()
    assert kept.read_bytes() == NEW
    assert put_back.files.sweep_aside(now + timedelta(days=32), 30) == 1 and not put_back.files.aside()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_running_kiosk_counts_only_by_a_trusted_clock_and_only_where_pictures_have_a_time(
    put_back, client, monkeypatch, trusted
):
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    monkeypatch.setattr("device_app.housekeeping._LOOK_EVERY_S", 0.01)
    Settings(put_back.database).change("box", keep_days=30)
    removal = Removal(put_back.database, put_back.files)
    removal.keep_clock(Clock(now_utc(), PROVEN_AFTER if trusted else timedelta(0)))
    (before,) = put_back.files.aside()
    with Housekeeping(client.application):
        if trusted:
            wait_until(lambda: put_back.files.aside()[0] != before)
        else:
            wait_until(lambda: removal.clock().proven > timedelta(seconds=0.1))
    assert (put_back.files.aside()[0] != before) is trusted
