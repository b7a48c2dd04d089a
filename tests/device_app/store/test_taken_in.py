"""Pictures that were set aside come back through the door that every picture takes, once and whole."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from device_app.answers import ScreenState, summary
from device_app.audit import faults
from device_app.cli import app
from device_app.housekeeping import Housekeeping
from device_app.retention import PROVEN_AFTER, Clock
from device_app.settings import Settings
from device_app.store import FolderHeldError, FolderLock, open_store, prepare_store
from device_app.store.aside import Aside, Bounds, TakenIn, Why, lying_aside, take_in
from device_app.store.copies import make_copy
from device_app.store.database import now_utc
from device_app.store.models import JobState
from device_app.store.records import Upload
from device_app.store.removal import Removal
from runtime.errors import StoreError
from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.putting_back import exchange, lay_aside, put_back, receive
from tests.runtime.readers.makers import dicom

KEPT = sample.picture(sample.NONE, seed=1)
BROKEN = sample.picture(sample.FRACTURE, seed=2)
NAMED = dicom(sample.forearm(sample.NONE, 3), StudyInstanceUID="1.2.3", PatientID="P 7")
ALL = Bounds.of(500)


@pytest.fixture
def store(config):
    """A started box of which an older database was put back: two pictures lie aside."""
    put_back(config, [KEPT], [BROKEN, NAMED])
    store = open_store(config)
    yield store
    store.close()


def run(config, *words):
    return CliRunner().invoke(app, ["storage", "--data", str(config.data_dir), *words])


def shelf(config):
    return sorted((config.data_dir / "set-aside" / "pictures").iterdir())


def digests(store):
    return sorted(image.sha256 for one in history(store) for image in one.images)


def history(store):
    return store.records.history(1, 99).examinations


def taken(store):
    return [one for one in history(store) if one.source == "taken_in"]


def test_they_are_taken_in_at_the_box_and_read_like_every_other(config, store, work_off):
    said = run(config, "--take-in", "--yes")
    assert said.exit_code == 0 and "2 pictures taken in; they are read when the kiosk runs" in said.output
    assert not shelf(config) and store.queue.counts().waiting == 3
    assert work_off() == 3
    back = {one.patient_label: one for one in taken(store)}
    assert summary(back[""]).state is ScreenState.FRACTURE
    assert back["P 7"].images[0].state is JobState.DONE, "the label from the file, by the ordinary way"
    assert store.files.read(back[""].images[0].sha256) == BROKEN
    assert len(back[""].images) == len(back["P 7"].images) == 1


def test_it_is_one_action_of_whoever_asked_and_every_picture_has_its_entry(store):
    assert take_in(store, "somebody", ALL) == TakenIn(taken=2)
    last, *before = store.log.page(1, 3).entries
    assert (last.actor, last.action) == ("somebody", "pictures_taken_in")
    assert last.detail == {"pictures": 2, "known": 0, "damaged": 0}
    assert [(one.actor, one.action) for one in before] == [("somebody", "received")] * 2
    assert not faults(store.log.written())


def test_a_second_run_does_nothing_and_says_nothing(config, store):
    take_in(store, "box", ALL)
    before = store.log.anchor(), digests(store)
    assert take_in(store, "box", ALL) == TakenIn()
    said = run(config, "--take-in")
    assert said.exit_code == 0 and said.output == "no pictures lie aside\n"
    assert (store.log.anchor(), digests(store)) == before
    prepare_store(config)
    assert lying_aside(store.files) == Aside() and digests(store) == before[1]


def test_nobody_who_says_no_changes_anything(config, store):
    before = store.log.anchor()
    said = CliRunner().invoke(app, ["storage", "--data", str(config.data_dir), "--take-in"], input="n\n")
    assert said.exit_code != 0 and "that somebody removed on purpose come back too" in said.output
    assert store.log.anchor() == before and len(shelf(config)) == 2


def test_while_the_kiosk_runs_the_command_leaves_it_to_the_page(config, store):
    with FolderLock(config.data_dir):
        said = run(config, "--take-in", "--yes")
    assert isinstance(said.exception, FolderHeldError) and "page “This box”" in said.exception.hint
    assert len(shelf(config)) == 2 and not taken(store)


def test_another_user_s_files_would_be_closed_to_the_kiosk(config, store, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    said = run(config, "--take-in", "--yes")
    assert isinstance(said.exception, StoreError) and "belongs to user" in str(said.exception)
    assert len(shelf(config)) == 2 and not taken(store)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1] + b"x", lambda data: data[:100], lambda _: b""])
def test_a_damaged_one_stays_aside_and_is_told_and_keeps_no_other(config, store, spoil):
    damaged = next(path for path in shelf(config) if path.read_bytes() == BROKEN)
    damaged.write_bytes(spoil(BROKEN))
    said = run(config, "--take-in", "--yes")
    assert said.exit_code == 1
    assert "1 pictures taken in" in said.output and "1 pictures are damaged and stay aside" in said.output
    assert shelf(config) == [damaged] and len(taken(store)) == 1
    assert store.log.page(1, 1).entries[0].detail == {"pictures": 1, "known": 0, "damaged": 1}


def test_one_that_was_sent_again_meanwhile_is_no_second_examination(config, store):
    again = receive(store, BROKEN)
    assert take_in(store, "box", ALL) == TakenIn(taken=1, known=1)
    assert len(digests(store)) == len(set(digests(store))) == 3 and not shelf(config)
    assert store.records.examination(again.public_id).patient_label == "P 1"


def test_of_a_stored_picture_that_rotted_what_lies_aside_is_the_better_copy(config, store):
    again = receive(store, BROKEN)
    (image,) = store.records.examination(again.public_id).images
    store.files.path(image.sha256).write_bytes(b"rotten")
    assert take_in(store, "box", ALL) == TakenIn(taken=1, known=1)
    assert store.files.read(image.sha256) == BROKEN


def test_one_whose_time_was_over_does_not_come_back(config, store, work_off):
    again = receive(store, BROKEN)
    work_off()
    (image,) = store.records.examination(again.public_id).images
    assert Removal(store.database, store.files, store.records.adopting).remove([image.id], now_utc()) == 1
    assert take_in(store, "box", ALL) == TakenIn(taken=1, known=1)
    assert not shelf(config) and not store.files.path(image.sha256).exists()


def test_one_that_came_again_after_its_time_was_over_is_of_a_visit_whose_record_is_lost(
    config, store, work_off
):
    work_off()
    (kept,) = store.records.history(1, 1).examinations[0].images
    removal = Removal(store.database, store.files, store.records.adopting)
    assert removal.remove([kept.id], now_utc()) == 1
    path = store.files.path(kept.sha256)
    path.write_bytes(KEPT)  # as it lies there where the database is of the time before it was sent again
    os.utime(path, ((now_utc() + timedelta(seconds=1)).replace(tzinfo=UTC).timestamp(),) * 2)
    for _ in range(2):
        prepare_store(config)
        assert lying_aside(store.files).pictures == 3
    assert take_in(store, "box", ALL) == TakenIn(taken=3)
    assert store.files.read(kept.sha256) == KEPT and len(taken(store)) == 3


def test_a_full_disk_takes_none_and_loses_none(config, store):
    full = open_store(replace(config, reserve_bytes=1 << 60))
    assert take_in(full, "box", ALL) == TakenIn(left=2, why=Why.DISK)
    full.close()
    assert len(shelf(config)) == 2 and not taken(store)


def test_a_disk_that_fills_on_the_way_keeps_the_rest_aside(config, store, monkeypatch):
    adopt, adopted = store.files.adopt, []

    def once(staged):
        if adopted:
            raise OSError(28, "No space left on device")
        adopted.append(staged)
        adopt(staged)

    monkeypatch.setattr(store.files, "adopt", once)
    with pytest.raises(StoreError):
        take_in(store, "box", ALL)
    assert len(shelf(config)) == 1 and len(taken(store)) == 1
    monkeypatch.undo()
    assert take_in(store, "box", ALL) == TakenIn(taken=1)


def test_half_the_queue_stays_for_whoever_comes_today(config, store):
    assert take_in(store, "box", Bounds.of(4)) == TakenIn(taken=1, left=1, why=Why.QUEUE)
    assert len(shelf(config)) == 1 and store.queue.counts().waiting == 2


def test_a_request_ends_after_its_time_and_the_next_goes_on(store):
    assert take_in(store, "box", Bounds.of(500, seconds=0)) == TakenIn(left=2, why=Why.TIME)
    assert take_in(store, "box", ALL) == TakenIn(taken=2)


def test_each_has_the_time_at_which_it_came_and_so_has_its_file(config, store):
    came = datetime(2026, 3, 4, 5, 6, 7)
    for number, path in enumerate(shelf(config)):
        os.utime(path, ((came + timedelta(days=number)).replace(tzinfo=UTC).timestamp(),) * 2)
    take_in(store, "box", ALL)
    newest, oldest = taken(store)
    assert (oldest.received_utc, newest.received_utc) == (came, came + timedelta(days=1))
    assert oldest.images[0].received_utc == came == store.files.written_utc(oldest.images[0].sha256)


@pytest.mark.parametrize("told", [datetime(2001, 1, 1), datetime(2099, 1, 1)])
def test_a_time_that_cannot_be_is_that_of_the_taking_in(config, store, told):
    for path in shelf(config):
        os.utime(path, (told.replace(tzinfo=UTC).timestamp(),) * 2)
    before = now_utc()
    take_in(store, "box", ALL)
    assert all(before <= one.received_utc <= now_utc() for one in taken(store))


def test_what_the_log_still_says_of_one_whose_record_was_removed_counts(config, store):
    store.records.receive(io.BytesIO(b"a film"), Upload("a.jpg", "P 2", photographed=True))
    said = store.log.page(1, 1).entries[0]
    with store.database.write() as session:
        for table in ("jobs", "images"):
            session.execute(text(f"DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table})"))
        session.execute(text("DELETE FROM examinations WHERE id = (SELECT max(id) FROM examinations)"))
    prepare_store(config)
    assert take_in(store, "box", ALL).taken == 3
    (film,) = [one for one in taken(store) if one.images[0].photographed]
    assert film.received_utc == datetime.fromisoformat(said.at_utc) and film.patient_label == ""
    assert film.public_id != said.subject, "an examination of its own"


def test_one_that_was_set_aside_twice_is_one_picture(config, store):
    store.files.sweep_aside(now_utc(), 30)
    lay_aside(config.data_dir, BROKEN)
    assert len(shelf(config)) == 3 and lying_aside(store.files).pictures == 2
    assert take_in(store, "box", ALL) == TakenIn(taken=2)
    assert not shelf(config) and len(digests(store)) == len(set(digests(store))) == 3


def test_the_box_says_until_when_they_are_kept(config, store):
    assert "kept for ever; --take-in takes them in again" in run(config).output
    Settings(store.database).change("box", keep_days=30)
    assert "removed after 30 days, which begin once the clock has proven itself" in run(config).output
    store.files.sweep_aside(datetime(2026, 5, 1, 12), 30)
    assert lying_aside(store.files) == Aside(2, datetime(2026, 5, 1))
    assert "removed from 2026-05-31 on" in run(config).output


def test_the_running_kiosk_marks_none_while_they_are_taken_in(store, client, monkeypatch):
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    monkeypatch.setattr("device_app.housekeeping._LOOK_EVERY_S", 0.01)
    kiosk = client.application.extensions["ulna"].store
    Settings(store.database).change("box", keep_days=30)
    Removal(store.database, store.files).keep_clock(Clock(now_utc(), PROVEN_AFTER))
    with kiosk.files.shelf, Housekeeping(client.application):
        wait_until(lambda: Removal(store.database, store.files).clock().proven > PROVEN_AFTER)
        assert lying_aside(store.files).since_utc is None
    wait_until(lambda: lying_aside(store.files).since_utc is not None)


def test_bytes_that_came_again_for_another_visit_have_nothing_of_the_first(config):
    """And another old database does not cost them: they are not what was removed."""
    prepare_store(config)
    store = open_store(config)
    store.records.receive(io.BytesIO(KEPT), Upload("a.png", "P 1", photographed=True))
    first = store.queue.claim("worker")
    store.queue.fail(first, "engine")
    assert Removal(store.database, store.files).remove([first.image_id], now_utc()) == 1
    copy = make_copy(config.data_dir / "kiosk.sqlite3", now_utc(), 0)
    store.records.receive(io.BytesIO(KEPT), Upload("b.png", "P 2"))
    store.close()
    for _ in range(2):
        exchange(config, copy)
        store = open_store(config)
        assert lying_aside(store.files).pictures == 1
        assert take_in(store, "box", ALL) == TakenIn(taken=1)
        (image,) = taken(store)[0].images
        assert not image.photographed and store.files.written_utc(image.sha256) > first_gone(store)
        store.close()


def first_gone(store):
    return max(store.records.removed_digests().values(), default=datetime.min)
