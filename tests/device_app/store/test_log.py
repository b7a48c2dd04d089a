"""What the box does is in the log, in one transaction with it; what is done to the log is seen."""

from __future__ import annotations

import pytest

from device_app.audit import Anchor, faults
from device_app.store import Store
from device_app.store.log import Action
from device_app.store.queue import FailureCode
from tests.device_app import sample


def entries(store: Store):
    assert faults(store.log.written()) == []
    return [written.entry for written in store.log.written()]


def test_a_picture_is_logged_when_it_comes_and_when_it_is_read_with_every_digest(
    store, receive, work_off
) -> None:
    receipt = receive(sample.picture(sample.FRACTURE), label="Jane Doe")
    work_off()
    came, read = entries(store)
    image = store.records.examination(receipt.public_id).images[0]
    assert (came.action, came.actor, came.subject) == ("received", "kiosk", receipt.public_id)
    assert (read.action, read.actor, read.subject) == ("answered", "box", receipt.public_id)
    assert came.detail == {"image_sha256": image.sha256}
    assert read.detail["image_sha256"] == image.sha256 and read.detail["verdict"] == "fracture"
    assert all(
        len(read.detail[name]) == 64 for name in ("bundle_sha256", "thresholds_sha256", "findings_sha256")
    )


def test_no_entry_names_a_patient_or_a_file(store, receive, work_off) -> None:
    receive(sample.picture(sample.NONE), name="Doe^Jane.png", label="Jane Doe")
    work_off()
    with store.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT * FROM audit").fetchall()
    assert rows and "Doe" not in str(rows)


def test_a_picture_sent_again_adds_nothing(store, receive) -> None:
    receive(b"same"), receive(b"same")
    assert [entry.action for entry in entries(store)] == ["received"]


def test_failures_and_other_tries_are_logged(store, receive) -> None:
    receive(b"one")
    claim = store.queue.claim("w")
    store.queue.fail(claim, FailureCode.FILE_LOST, "gone")
    store.queue.retry(claim.image_id, "p1")
    assert [(entry.action, entry.actor) for entry in entries(store)] == [
        ("received", "kiosk"),
        ("failed", "box"),
        ("retried", "p1"),
    ]


def test_an_upload_that_is_not_stored_is_not_logged(store, receive, monkeypatch) -> None:
    monkeypatch.setattr("device_app.store.records.append", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        receive(b"one")
    assert not store.records.known_digests() and not entries(store)


CUT_OFF = "entry 4 was written down and is gone: the end of the log was cut off"
SPOILING = {
    "UPDATE audit SET actor = 'box' WHERE number = 2": "entry 2 was changed",
    "UPDATE audit SET at_utc = 'no time' WHERE number = 2": "entry 2 was changed",
    "UPDATE audit SET detail_json = '{' WHERE number = 2": "entry 2 was changed",
    "UPDATE audit SET sha256 = 'ab' WHERE number = 2": "entry 2 was changed",
    "DELETE FROM audit WHERE number = 2": "entries 2 to 2 are missing",
    "DELETE FROM audit WHERE number > 2": CUT_OFF,
    "DELETE FROM audit": CUT_OFF,
}


@pytest.mark.parametrize("statement", SPOILING)
def test_what_is_done_to_the_log_is_seen(store: Store, statement: str) -> None:
    for number in range(4):
        store.log.note("p1", Action.SETTING_CHANGED, "clinic", before=number, after=number + 1)
    anchor = store.log.anchor()
    assert anchor.number == 4 and faults(store.log.written(), [anchor]) == []
    with store.database.write() as session:
        session.connection().exec_driver_sql(statement)
    assert SPOILING[statement] in faults(store.log.written(), [anchor])
    store.log.page(1, 10)


def test_entries_of_many_writers_stand_in_one_order(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as many:
        list(many.map(lambda n: store.log.note(f"p{n}", Action.SIGNED_IN), range(40)))
    assert [entry.number for entry in entries(store)] == list(range(1, 41))
    assert {entry.actor for entry in entries(store)} == {f"p{n}" for n in range(40)}


def test_pages_are_newest_first(store: Store) -> None:
    for number in range(5):
        store.log.note("p1", Action.EXPORTED, str(number))
    first, last = store.log.page(1, 2), store.log.page(9, 2)
    assert [entry.subject for entry in first.entries] == ["4", "3"]
    assert (last.page, last.pages, [entry.subject for entry in last.entries]) == (3, 3, ["0"])


def test_a_log_without_entries_has_an_anchor_that_holds(store: Store) -> None:
    anchor = store.log.anchor()
    assert anchor == Anchor(0, "0" * 64)
    store.log.note("p1", Action.EXPORTED)
    assert faults(store.log.written(), [anchor]) == []
