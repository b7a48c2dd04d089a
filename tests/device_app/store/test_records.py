import errno
import hashlib
import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine.default import DefaultDialect

from device_app.store import open_store
from device_app.store.models import JobState
from device_app.store.records import Upload, display_text
from runtime.errors import DiskFullError, InputError, StoreError


def files_under(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_confirmed_upload_is_on_disk_under_its_digest_and_queued(store, receive):
    receipt = receive(b"some bytes", "wrist.png", "P 7")
    found = store.records.examination(receipt.public_id)
    assert found.patient_label == "P 7"
    (image,) = found.images
    assert (image.file_name, image.state, image.size_bytes) == ("wrist.png", JobState.QUEUED, 10)
    assert image.sha256 == hashlib.sha256(b"some bytes").hexdigest()
    assert store.files.path(image.sha256).read_bytes() == b"some bytes"


def test_everything_is_synced_before_the_row_is_committed(store, receive, monkeypatch):
    events = []
    sync, commit, rename = os.fsync, DefaultDialect.do_commit, type(store.files.incoming).replace

    def note_sync(descriptor):
        events.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        sync(descriptor)

    def note_rename(path, target):
        events.append("rename")
        return rename(path, target)

    def note_commit(dialect, connection):
        events.append("commit")
        commit(dialect, connection)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(type(store.files.incoming), "replace", note_rename)
    monkeypatch.setattr(DefaultDialect, "do_commit", note_commit)
    receive(b"bytes")
    assert events == ["file", "folder", "rename", "folder", "commit"]


def test_the_database_syncs_every_commit(store):
    with store.database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15000}


def test_the_same_bytes_again_lead_to_the_same_examination(store, receive):
    first, second = receive(b"bytes", "a.png"), receive(b"bytes", "b.png")
    assert second.public_id == first.public_id and second.known and not first.known
    assert store.records.history(1, 10).total == 1
    assert not files_under(store.files.incoming)


def test_the_same_bytes_from_many_at_once_are_stored_once(store, receive):
    receipts = []
    threads = [threading.Thread(target=lambda: receipts.append(receive(b"x" * 100_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({receipt.public_id for receipt in receipts}) == 1 and len(receipts) == 8
    assert sum(not receipt.known for receipt in receipts) == 1


def test_sending_a_picture_again_mends_a_copy_that_rotted(store, receive):
    receipt = receive(b"good bytes")
    path = store.files.path(store.records.examination(receipt.public_id).images[0].sha256)
    path.write_bytes(b"bad bytes!")
    with pytest.raises(StoreError, match="changed on disk"):
        store.files.read(path.name)
    receive(b"good bytes")
    assert store.files.read(path.name) == b"good bytes"


@pytest.mark.parametrize("data", [b"", b"x" * 65], ids=["empty", "too large"])
def test_refused_bytes_leave_nothing_behind(store, config, data):
    small = open_store(replace(config, max_upload_bytes=64))
    with pytest.raises(InputError):
        small.records.receive(io.BytesIO(data), Upload("a.png"))
    assert small.records.history(1, 10).total == 0
    assert not files_under(config.data_dir / "images") + files_under(config.data_dir / "incoming")


def test_a_disk_without_room_stores_nothing_and_says_so(store, receive, config, monkeypatch):
    def no_room(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(DiskFullError, match="nothing was stored"):
        receive(b"bytes")
    monkeypatch.undo()
    assert store.records.history(1, 10).total == 0
    assert not files_under(config.data_dir / "images") + files_under(config.data_dir / "incoming")


def test_a_database_without_room_stores_nothing_and_says_so(store, receive, config):
    with store.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    tight = open_store(config)
    connection = tight.database.engine.raw_connection()
    connection.cursor().execute(f"PRAGMA max_page_count={pages}")
    connection.close()
    with pytest.raises(DiskFullError):
        for number in range(200):
            tight.records.receive(io.BytesIO(b"%d" % number), Upload("n" * 100, "l" * 80))
    stored = tight.records.known_digests()
    assert {path.name for path in files_under(config.data_dir / "images")} == stored
    tight.close()


def test_intake_closes_before_the_disk_is_full(store, config):
    careful = open_store(replace(config, reserve_bytes=1 << 60))
    with pytest.raises(DiskFullError):
        careful.records.receive(io.BytesIO(b"bytes"), Upload("a.png"))


def test_a_queue_that_is_too_long_takes_no_more(store, config):
    short = open_store(replace(config, max_waiting=2))
    for number in range(2):
        short.records.receive(io.BytesIO(b"%d" % number), Upload("a.png"))
    with pytest.raises(StoreError, match="too many"):
        short.records.receive(io.BytesIO(b"third"), Upload("a.png"))
    assert len(files_under(config.data_dir / "images")) == 2


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\secret.png", "/abs/olute.png", "a\x00b.png", "x" * 500]
)
def test_a_file_name_is_never_a_path(store, receive, config, name):
    receipt = receive(b"bytes", name)
    shown = store.records.examination(receipt.public_id).images[0].file_name
    assert "/" not in shown and "\\" not in shown and "\x00" not in shown and len(shown) <= 120
    assert all(config.data_dir in path.parents for path in files_under(config.data_dir.parent))


@given(st.text(max_size=300))
def test_shown_text_is_printable_and_short(text):
    shown = display_text(text, 80)
    assert len(shown) <= 80 and shown.isprintable()


def test_history_is_newest_first_whatever_the_clock_said(store, receive):
    ids = [receive(b"%d" % number).public_id for number in range(5)]
    first, last = store.records.history(1, 2), store.records.history(99, 2)
    assert [row.public_id for row in first.examinations] == [ids[4], ids[3]]
    assert [row.public_id for row in last.examinations] == [ids[0]] and last.page == last.pages == 3


def test_sweeping_removes_only_what_was_never_confirmed(store, receive, config):
    kept = receive(b"kept")
    sha256 = store.records.examination(kept.public_id).images[0].sha256
    store.files.write_derived(sha256, "thumb", b"png")
    store.files.write_derived("ab" * 32, "thumb", b"png")
    (store.files.incoming / "left.part").write_bytes(b"half")
    assert store.files.sweep(store.records.known_digests()) == 0
    assert not list(store.files.incoming.iterdir()) and not store.files.left_of(frozenset({"ab" * 32}))
    assert store.files.read(sha256) == b"kept"
    assert store.files.derived_path(sha256, "thumb").read_bytes() == b"png"
