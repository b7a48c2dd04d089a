"""Views of a study wait together: none of them is answered as if there were no other."""

from __future__ import annotations

import io
from typing import Any

import pytest

from device_app import whose
from device_app.answers import ScreenState, summary
from device_app.store import Store
from device_app.store.database import DatabaseUnusableError
from device_app.store.records import ExaminationRecord, Upload
from device_app.whose import Ahead
from device_app.worker import read_picture
from runtime.detector import Detector
from runtime.errors import DiskFullError, ReaderUnavailableError
from runtime.radiograph import FileSays
from tests.device_app import sample
from tests.runtime.readers.makers import dicom


def view(seed: int, **elements: Any) -> bytes:
    said = {"StudyInstanceUID": "1.2.3", "PatientID": "P 7", "BodyPartExamined": "FOREARM", **elements}
    return dicom(sample.forearm(sample.NONE, seed), **said)


def give(store: Store, data: bytes, facts_json: str = "") -> str:
    return store.records.receive(io.BytesIO(data), Upload("x.dcm", facts_json=facts_json)).public_id


def holder(store: Store, public_id: str) -> ExaminationRecord:
    found = store.records.holder(public_id)
    assert found is not None
    return found


def read_next(store: Store, detector: Detector) -> None:
    claim = store.queue.claim("here")
    assert claim and store.queue.complete(claim, read_picture(claim, store, detector))


def test_while_one_view_waits_the_other_is_not_answered_with_none(store: Store, detector: Detector) -> None:
    first, second = give(store, view(1)), give(store, view(2))
    Ahead(store).look()
    read_next(store, detector)
    whole = holder(store, second)
    assert whole.public_id == first and len(whole.images) == 2
    assert summary(whole).state is ScreenState.WORKING
    read_next(store, detector)
    assert summary(holder(store, first)).state is ScreenState.NONE


def test_views_of_which_a_person_named_other_parts_stay_apart(store: Store) -> None:
    first = give(store, view(1), '{"body_part": "hand"}')
    second = give(store, view(2), '{"body_part": "wrist"}')
    Ahead(store).look()
    assert [holder(store, one).public_id for one in (first, second)] == [first, second]


def test_many_that_wait_are_asked_a_few_at_a_time_and_each_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def silent(data: bytes) -> FileSays | None:
        asked.append(data)
        return None

    monkeypatch.setattr(whose, "read_header", silent)
    sent = [view(seed) for seed in range(6)]
    for data in sent:
        give(store, data)
    ahead = Ahead(store)
    ahead.look()
    begun = [data[: whose._HEADER_BYTES] for data in sent]
    assert asked == begun[:4]
    ahead.look()
    ahead.look()
    assert asked == begun


def test_one_that_waits_alone_is_read_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whose, "read_header", lambda _data: pytest.fail("nothing waits beside it"))
    give(store, view(1))
    Ahead(store).look()


def test_a_header_longer_than_is_read_ahead_is_heard_at_its_turn(store: Store, detector: Detector) -> None:
    long = {"ImageComments": "x" * 10_000}
    first, second = (give(store, view(seed, **long)) for seed in (1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whose, "_HEADER_BYTES", 500)
        Ahead(store).look()
    for _ in range(2):
        read_next(store, detector)
    assert holder(store, second).public_id == first


def test_a_picture_that_is_gone_is_told_at_its_turn_and_the_others_are_asked(store: Store) -> None:
    lost, first, second = (give(store, view(seed)) for seed in (1, 2, 3))
    image = holder(store, lost).images[0]
    store.files.path(image.sha256).unlink()
    ahead = Ahead(store)
    ahead.look()
    ahead.look()
    assert holder(store, second).public_id == first
    assert summary(holder(store, lost)).state is ScreenState.WORKING


@pytest.mark.parametrize("error", [DiskFullError("full"), ReaderUnavailableError("none")])
def test_what_cannot_be_had_ahead_stops_nothing(
    store: Store, detector: Detector, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_data: bytes) -> FileSays:
        raise error

    first, second = give(store, view(1)), give(store, view(2))
    with monkeypatch.context() as patch:
        patch.setattr(whose, "read_header", fail)
        Ahead(store).look()
    read_next(store, detector)
    read_next(store, detector)
    assert holder(store, second).public_id == first


def test_a_database_that_cannot_be_used_ends_the_worker(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(*_: Any) -> None:
        raise DatabaseUnusableError("the disk fails")

    for seed in (1, 2):
        give(store, view(seed))
    monkeypatch.setattr(store.grouping, "settle", unusable)
    with pytest.raises(DatabaseUnusableError):
        Ahead(store).look()
