"""A view stands among those of its study before anything can go wrong with it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from device_app import worker
from device_app.answers import ScreenState, summary
from device_app.settings import Settings
from device_app.store import Store
from device_app.store.models import JobState
from device_app.store.queue import FailureCode
from device_app.store.records import ExaminationRecord, Upload
from device_app.worker import read_picture
from runtime.detector import Detector
from runtime.errors import DiskFullError
from runtime.readers import read_bytes
from tests.device_app import sample
from tests.runtime.readers.makers import dicom


def view(gap: float, seed: int, **elements: Any) -> bytes:
    return dicom(sample.forearm(gap, seed), **{"StudyInstanceUID": "1.2.3", "PatientID": "P 7", **elements})


def give(store: Store, data: bytes, label: str = "", facts_json: str = "") -> str:
    upload = Upload("x.dcm", label, facts_json=facts_json)
    return store.records.receive(io.BytesIO(data), upload).public_id


def holder(store: Store, public_id: str) -> ExaminationRecord:
    found = store.records.holder(public_id)
    assert found is not None
    return found


@pytest.mark.parametrize("bad_first", [False, True])
@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: data.replace(b"CS\x02\x00CR", b"CS\x02\x00CT")],
    ids=["cut-off", "refused"],
)
def test_a_view_that_cannot_be_read_keeps_its_examination_from_none(
    store: Store, work_off: Any, damage: Any, bad_first: bool
) -> None:
    good, bad = view(sample.NONE, 1), damage(view(sample.FRACTURE, 2))
    first, second = (give(store, data) for data in ((bad, good) if bad_first else (good, bad)))
    work_off()
    whole = holder(store, second)
    assert whole.public_id == first and len(whole.images) == 2
    assert summary(whole).state is ScreenState.UNREADABLE


def test_a_view_over_which_workers_die_keeps_its_examination_from_none(
    store: Store, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = give(store, view(sample.NONE, 1)), give(store, view(sample.FRACTURE, 2))
    claim = store.queue.claim("a")
    assert claim and store.queue.complete(claim, read_picture(claim, store, detector))

    def die(data: bytes, **told: Any) -> None:
        reading(data, **told)
        raise SystemExit

    reading = read_bytes
    monkeypatch.setattr(worker, "read_bytes", die)
    for owner in ("b", "c"):
        claim = store.queue.claim(owner)
        assert claim
        with pytest.raises(SystemExit):
            read_picture(claim, store, detector)
        assert summary(holder(store, first)).state is ScreenState.WORKING
        store.queue.abandon(owner, FailureCode.DIED)
    assert holder(store, second).public_id == first
    assert [image.state for image in holder(store, first).images] == [JobState.DONE, JobState.FAILED]
    assert summary(holder(store, first)).state is ScreenState.UNREADABLE


def test_no_room_to_say_where_a_view_belongs_is_no_answer(
    store: Store, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(store, view(sample.NONE, 1))
    claim = store.queue.claim("a")
    assert claim

    def full(*_: Any) -> None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr(store.grouping, "settle", full)
    with pytest.raises(DiskFullError):
        read_picture(claim, store, detector)


def test_two_body_parts_and_two_sides_of_one_study_get_an_answer_each(store: Store, work_off: Any) -> None:
    shown = [("HAND", "L"), ("HAND", "R"), ("ANKLE", "R"), ("HAND", "L")]
    sent = [
        give(store, view(sample.NONE, seed, BodyPartExamined=part, ImageLaterality=side))
        for seed, (part, side) in enumerate(shown)
    ]
    work_off()
    assert [holder(store, one).public_id for one in sent] == [sent[0], sent[1], sent[2], sent[0]]


def test_what_people_say_of_the_body_part_counts_before_the_file(store: Store, work_off: Any) -> None:
    hand = give(store, view(sample.NONE, 1, BodyPartExamined="HAND"))
    ankle = give(store, view(sample.NONE, 2, BodyPartExamined="HAND"), facts_json='{"body_part": "ankle"}')
    same = give(store, view(sample.NONE, 3, BodyPartExamined="FOOT"), facts_json='{"body_part": "Ankle"}')
    work_off()
    assert holder(store, hand).public_id == hand and holder(store, same).public_id == ankle


@pytest.mark.parametrize("label_from_file", [True, False])
def test_one_uid_for_two_patients_makes_no_examination_of_both(
    store: Store, work_off: Any, label_from_file: bool
) -> None:
    Settings(store.database).change("kiosk", label_from_file=label_from_file)
    one, other = (
        give(store, view(sample.NONE, seed, PatientID=who)) for seed, who in ((1, "A 1"), (2, "B 2"))
    )
    again = give(store, view(sample.NONE, 3, PatientID="A 1"))
    work_off()
    assert holder(store, other).public_id == other and holder(store, again).public_id == one
    assert holder(store, one).patient_label == ("A 1" if label_from_file else "")


@pytest.mark.parametrize("number", ["", "UNKNOWN"])
def test_one_study_of_people_without_a_number_gets_an_answer_each(
    store: Store, work_off: Any, number: str
) -> None:
    said = [{"PatientName": "Abel^A"}, {"PatientName": "Berta^B"}, {"PatientName": "Abel^A"}]
    sent = [
        give(store, view(gap, seed, PatientID=number, **one))
        for seed, (gap, one) in enumerate(zip((sample.DOUBT, sample.NONE, sample.NONE), said, strict=True))
    ]
    work_off()
    assert [holder(store, one).public_id for one in sent] == [sent[0], sent[1], sent[0]]


@pytest.mark.parametrize("label_from_file", [True, False])
def test_a_file_of_another_patient_than_was_typed_is_noted(
    store: Store, work_off: Any, label_from_file: bool
) -> None:
    Settings(store.database).change("kiosk", label_from_file=label_from_file)
    wrong = give(store, view(sample.NONE, 1, PatientID="A 17"), label="B 23")
    right = give(store, view(sample.NONE, 2, PatientID="b 23", StudyInstanceUID="1.2.9"), label="B 23")
    work_off()
    assert [holder(store, one).images[0].names_other for one in (wrong, right)] == [True, False]
