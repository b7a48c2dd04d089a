"""What was erased of a patient can be read in no file of the database, while the kiosk goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from dataclasses import replace

import pytest

from device_app.audit import faults
from device_app.housekeeping import Housekeeping
from device_app.readings import Draft, Judgement, Kind
from device_app.retention import PROVEN_AFTER, Clock
from device_app.settings import Settings
from device_app.store import DATABASE_NAME, prepare_store
from device_app.store.database import now_utc
from device_app.store.removal import Removal
from tests.device_app import sample
from tests.device_app.conftest import wait_until

LABEL, NAME, REMARK = b"Wanjiku 17", b"WANJIKU.png", b"Mrs Wanjiku's left hand"
SECRETS = (LABEL, NAME, REMARK)


@pytest.fixture
def removal(store):
    return Removal(store.database, store.files, store.records.adopting)


@pytest.fixture
def examination(store, receive, work_off):
    """Read, and remarked upon."""
    found = receive(sample.picture(sample.FRACTURE), NAME.decode(), LABEL.decode()).public_id
    work_off()
    remark(store, found, REMARK.decode())
    return found


def remark(store, public_id, note, kind=Kind.SECOND):
    store.readings.add(public_id, Draft(kind, Judgement.FRACTURE, note=note), "p1", lambda _: "fracture")


def images_of(store, public_id):
    return store.records.examination(public_id).images


def remove(store, removal, public_id):
    return removal.remove([image.id for image in images_of(store, public_id)], now_utc())


def readable(config, *secrets):
    """Which of them stand in a file of the database, and in which."""
    files = {path.name: path.read_bytes() for path in config.data_dir.glob(f"{DATABASE_NAME}*")}
    return {(name, one) for name, data in files.items() for one in secrets or SECRETS if one in data}


def fold_in(store):
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def other_connection(config):
    return sqlite3.connect(config.data_dir / DATABASE_NAME, isolation_level=None)


@pytest.fixture
def looking(client, monkeypatch):
    """A running kiosk's housekeeping, which looks all the time; not begun yet."""
    for name in ("_FIRST_AFTER_S", "_LOOK_EVERY_S"):
        monkeypatch.setattr(f"device_app.housekeeping.{name}", 0.01)
    return Housekeeping(client.application)


def by_the_rule(store, removal):
    """All that is here has had its time."""
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE images SET received_utc = '2001-01-01 00:00:00.000000'")
    for path in (store.files.path(sha256) for sha256 in store.records.known_digests()):
        os.utime(path, (978_307_200, 978_307_200))
    Settings(store.database).change("box", keep_days=30)
    removal.keep_clock(Clock(now_utc(), PROVEN_AFTER))


@pytest.mark.parametrize("was_in", ["log", "file"])
def test_names_and_remarks_of_removed_pictures_are_in_no_file_while_others_have_it_open(
    config, store, removal, examination, looking, was_in
):
    other = other_connection(config)
    assert other.execute("SELECT count(*) FROM images").fetchone() == (1,)
    if was_in == "file":
        fold_in(store)
    by_the_rule(store, removal)
    assert readable(config), "nothing to be erased"
    with looking:
        wait_until(lambda: images_of(store, examination)[0].removed_utc)
        wait_until(lambda: not readable(config), 20)
    assert other.execute("SELECT patient_label FROM examinations").fetchone() == ("",)
    other.close()


def test_a_long_reader_puts_it_off_until_a_later_look(config, store, removal, examination, looking):
    other = other_connection(config)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM images").fetchone()
    by_the_rule(store, removal)
    with looking:
        wait_until(lambda: images_of(store, examination)[0].removed_utc)
        seen = removal.clock().seen_utc
        wait_until(lambda: removal.clock().seen_utc > seen)
        assert readable(config) and other.execute("SELECT patient_label FROM examinations").fetchone()[0]
        other.execute("COMMIT")
        wait_until(lambda: not readable(config), 20)
    other.close()


def test_a_reader_that_stays_keeps_writers_waiting_for_a_moment_only(
    config, store, removal, examination, receive
):
    remove(store, removal, examination)
    other = other_connection(config)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM images").fetchone()
    folding = threading.Thread(target=removal.fold)
    folding.start()
    began_s = time.monotonic()
    while folding.is_alive():
        receive(f"picture {time.monotonic()}".encode())
    assert time.monotonic() - began_s < 5, "a writer waits for 15 s before it gives up"
    folding.join()
    assert not removal.fold()
    other.execute("COMMIT")
    assert removal.fold() and not readable(config)
    other.close()


def test_what_was_corrected_is_in_no_file_either(config, store, removal, receive, work_off):
    secret = b"41 and a bit"
    one = receive(b"no picture").public_id
    work_off()
    (image,) = images_of(store, one)
    with store.database.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE images SET facts_json = ?", (f'{{"age": "{secret.decode()}"}}',)
        )
    fold_in(store)
    assert readable(config, secret)
    assert store.queue.correct(image.id, "")
    assert readable(config, secret), "nothing to be erased"
    assert removal.fold() and not readable(config, secret)


def test_a_stop_does_it_too(config, store, removal, examination):
    remove(store, removal, examination)
    assert readable(config)
    store.close()
    assert not readable(config)


def test_a_start_after_a_power_cut_does_it_too(config, tmp_path, store, removal, examination):
    remove(store, removal, examination)
    cut = replace(config, data_dir=tmp_path / "cut")
    shutil.copytree(config.data_dir, cut.data_dir)
    assert readable(cut)
    prepare_store(cut)
    assert not readable(cut)


@pytest.mark.parametrize("message", ["database or disk is full", "disk I/O error"])
def test_a_disk_that_refuses_ends_nothing(store, removal, examination, monkeypatch, message):
    def refuse(*_, **__):
        raise sqlite3.OperationalError(message)

    remove(store, removal, examination)
    with monkeypatch.context() as context:
        context.setattr("device_app.store.removal.sqlite3.connect", refuse)
        assert not removal.fold()
    assert removal.fold()


def test_no_database_is_made_where_there_is_none_any_more(config, store, removal):
    store.close()
    (config.data_dir / DATABASE_NAME).unlink()
    assert not removal.fold() and not (config.data_dir / DATABASE_NAME).exists()


def test_remarks_go_with_the_last_view_and_what_was_judged_stays(store, removal, receive, work_off):
    one = receive(sample.picture(sample.NONE, seed=1), label="Wanjiku 17").public_id
    two = receive(sample.picture(sample.NONE, seed=2), label="Wanjiku 17").public_id
    store.grouping.join(two, one, "box")
    work_off()
    remark(store, one, "asked Dr Otieno")
    remark(store, one, "seen by Dr Otieno", Kind.OUTCOME)
    before = store.readings.of(one)
    first, second = images_of(store, one)
    removal.remove([first.id], now_utc())
    assert store.readings.of(one) == before
    removal.remove([second.id], now_utc())
    after = store.readings.of(one)
    assert [said.note for said in after] == ["", ""]
    assert [(said.kind, said.judgement, said.places, said.box_verdict, said.image_ids) for said in after] == [
        (said.kind, said.judgement, said.places, said.box_verdict, said.image_ids) for said in before
    ]


def test_other_patients_remarks_stay(store, removal, examination, receive, work_off):
    other = receive(sample.picture(sample.NONE)).public_id
    work_off()
    remark(store, other, "old scar")
    remove(store, removal, examination)
    assert [said.note for said in store.readings.all()] == ["", "old scar"]


def test_the_log_says_nothing_of_a_remark_and_is_whole_without_it(store, removal, examination):
    remove(store, removal, examination)
    written = list(store.log.written())
    assert faults(written) == [] and REMARK.decode() not in str(written)


def test_what_an_earlier_version_or_a_parted_view_left_goes_at_a_look(
    store, removal, receive, work_off, looking
):
    ids = [receive(sample.picture(sample.NONE, seed=seed), label="Wanjiku 17").public_id for seed in (1, 2)]
    store.grouping.join(ids[1], ids[0], "box")
    work_off()
    first, second = images_of(store, ids[0])
    removal.remove([first.id], now_utc())
    remark(store, ids[0], "asked Dr Otieno")
    alone = store.grouping.part(ids[0], second.id, "box")
    with looking:
        wait_until(lambda: not store.records.examination(ids[0]).patient_label, 20)
    assert [said.note for said in store.readings.of(ids[0])] == [""]
    assert store.records.examination(alone).patient_label == "Wanjiku 17", "its picture is here"
