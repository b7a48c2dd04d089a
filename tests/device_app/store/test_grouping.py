"""Which views make one examination."""

from __future__ import annotations

import dataclasses
import io
from datetime import datetime, timedelta
from typing import Any

import pytest

from device_app.answers import ScreenState, summary
from device_app.readings import Draft, Judgement, Kind
from device_app.store import records as records_module
from device_app.store.records import MAX_VIEWS, Upload
from runtime.errors import InputError
from runtime.radiograph import FileSays
from tests.device_app import sample

STUDY = "ab" * 32


def send(store: Any, number: int, label: str = "", **more: Any) -> str:
    data = sample.picture(sample.NONE, seed=number)
    return store.records.receive(io.BytesIO(data), Upload(f"{number}.png", label, **more)).public_id


def views(store: Any, public_id: str) -> list[str]:
    return [image.file_name for image in store.records.examination(public_id).images]


def image_of(store: Any, public_id: str) -> int:
    return store.records.examination(public_id).images[0].id


def test_a_view_sent_for_an_examination_is_kept_in_it(store: Any) -> None:
    first = send(store, 1, "A 12")
    assert send(store, 2, examination=first) == first
    assert views(store, first) == ["1.png", "2.png"]
    assert store.records.history(1, 9).total == 1


def test_a_view_for_an_examination_that_is_full_or_unknown_is_taken_in_by_itself(store: Any) -> None:
    first = send(store, 0)
    for number in range(1, MAX_VIEWS):
        send(store, number, examination=first)
    alone = send(store, 99, examination=first)
    assert alone != first and views(store, alone) == ["99.png"] and len(views(store, first)) == MAX_VIEWS
    assert send(store, 100, examination="nothing") not in (first, alone, "nothing")


def test_joined_examinations_are_one_and_the_old_address_leads_there(store: Any) -> None:
    first, second, third = (send(store, number) for number in (1, 2, 3))
    store.grouping.join(second, first, "kiosk")
    store.grouping.join(first, third, "kiosk")
    assert views(store, third) == ["1.png", "2.png", "3.png"]
    for old in (first, second):
        assert store.records.examination(old).joined_into == third
    assert [one.public_id for one in store.records.history(1, 9).examinations] == [third]
    assert send(store, 4, examination=second) == third
    entry = store.log.page(1, 9).entries[1]
    assert (entry.action, entry.subject, entry.detail["into"]) == ("views_joined", first, third)


def test_pictures_of_two_patients_are_not_joined(store: Any) -> None:
    one, other, unknown = send(store, 1, "A"), send(store, 2, "B"), send(store, 3)
    with pytest.raises(InputError, match="two patients"):
        store.grouping.join(one, other, "kiosk")
    store.grouping.join(one, unknown, "kiosk")
    assert store.records.examination(unknown).patient_label == "A"
    with pytest.raises(InputError, match="two patients"):
        store.grouping.join(unknown, other, "kiosk")


def test_an_examination_is_not_joined_with_itself_or_beyond_the_limit(store: Any) -> None:
    first, more = send(store, 0), send(store, 50)
    with pytest.raises(InputError, match="itself"):
        store.grouping.join(first, first, "kiosk")
    for number in range(1, MAX_VIEWS):
        send(store, number, examination=first)
    with pytest.raises(InputError, match="at most"):
        store.grouping.join(more, first, "kiosk")
    with pytest.raises(InputError, match="no such"):
        store.grouping.join("nothing", first, "kiosk")


def test_what_people_have_judged_does_not_end(store: Any) -> None:
    judged, other = send(store, 1), send(store, 2)
    store.readings.add(judged, Draft(Kind.SECOND, Judgement.DOUBT), "p1", lambda _record: "none")
    with pytest.raises(InputError, match="judged"):
        store.grouping.join(judged, other, "kiosk")
    store.grouping.join(other, judged, "kiosk")
    assert [said.views for said in store.readings.of(judged)] == [1]
    store.readings.add(judged, Draft(Kind.OWN, Judgement.DOUBT), "p1", lambda _record: "none")
    assert [said.views for said in store.readings.of(judged)] == [1, 2]


def test_a_view_taken_out_is_an_examination_by_itself_with_its_answer(store: Any, work_off: Any) -> None:
    first = send(store, 1, "A")
    send(store, 2, examination=first)
    work_off()
    second = store.records.examination(first).images[1]
    alone = store.grouping.part(first, second.id, "kiosk")
    found = store.records.examination(alone)
    assert found.patient_label == "A" and summary(found).state is ScreenState.NONE
    assert views(store, first) == ["1.png"] and found.images[0].findings_json == second.findings_json
    with pytest.raises(InputError, match="cannot be taken out"):
        store.grouping.part(first, image_of(store, first), "kiosk")
    assert store.grouping.part(first, second.id, "kiosk") == alone, "it is out already"
    elsewhere = send(store, 3)
    with pytest.raises(InputError, match="cannot be taken out"):
        store.grouping.part(first, image_of(store, elsewhere), "kiosk")
    store.grouping.join(alone, elsewhere, "kiosk")
    with pytest.raises(InputError, match="cannot be taken out"):
        store.grouping.part(first, second.id, "kiosk")


def test_what_is_joined_already_stays_so_until_a_view_is_taken_out(store: Any) -> None:
    first, second = send(store, 1), send(store, 2)
    for one, into in ((second, first), (second, first), (first, second)):
        store.grouping.join(one, into, "kiosk")
    assert views(store, first) == ["1.png", "2.png"]
    assert [entry.action for entry in store.log.page(1, 9).entries].count("views_joined") == 1
    store.grouping.part(first, image_of(store, first), "kiosk")
    with pytest.raises(InputError, match="itself"):
        store.grouping.join(second, first, "kiosk")


def test_pictures_of_one_study_find_each_other_but_not_those_of_another_patient(store: Any) -> None:
    first, second, third, fourth = (
        send(store, number, label) for number, label in ((1, ""), (2, ""), (3, "B"), (4, ""))
    )
    for one, says in (
        (first, FileSays(STUDY, "P 7")),
        (second, FileSays(STUDY, "P 7")),
        (third, FileSays(STUDY, "P 7")),
        (fourth, FileSays("cd" * 32, "P 7")),
    ):
        store.grouping.settle(image_of(store, one), says)
    assert views(store, first) == ["1.png", "2.png"]
    assert store.records.examination(first).patient_label == "P 7"
    assert views(store, third) == ["3.png"] and store.records.examination(third).patient_label == "B"
    assert views(store, fourth) == ["4.png"]


def test_what_a_person_took_apart_is_not_put_together_again(store: Any) -> None:
    first, second = send(store, 1), send(store, 2)
    for one in (first, second):
        store.grouping.settle(image_of(store, one), FileSays(STUDY))
    moved = store.records.examination(first).images[1].id
    alone = store.grouping.part(first, moved, "kiosk")
    store.grouping.settle(moved, FileSays(STUDY))
    assert views(store, alone) == ["2.png"] and views(store, first) == ["1.png"]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (("hand", "left"), ("hand", "left"), True),
        (("", ""), ("", ""), True),
        (("hand", ""), ("hand", ""), True),
        (("hand", ""), ("ankle", ""), False),
        (("hand", "left"), ("hand", "right"), False),
        (("hand", "left"), ("hand", ""), False),
        (("", ""), ("hand", ""), False),
    ],
)
def test_the_box_joins_only_what_differs_in_nothing(
    store: Any, one: tuple[str, str], other: tuple[str, str], together: bool
) -> None:
    first, second = send(store, 1), send(store, 2)
    for examination, shows in ((first, one), (second, other)):
        store.grouping.settle(image_of(store, examination), FileSays(STUDY, "P 7", *shows))
    assert (store.records.holder(second).public_id == first) is together
    if not together:
        assert store.grouping.near(second) == (first,), "a person may still join them"


def test_views_of_a_study_that_came_more_than_a_day_apart_are_not_joined_by_the_box(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [datetime(2026, 1, 1, 12)]
    monkeypatch.setattr(records_module, "now_utc", lambda: now[0])
    sent = []
    for number, later in enumerate((timedelta(hours=23), timedelta(hours=25), timedelta(hours=-24))):
        sent.append(send(store, number))
        store.grouping.settle(image_of(store, sent[-1]), FileSays(STUDY))
        now[0] += later
    assert views(store, sent[0]) == ["0.png", "1.png"] and views(store, sent[2]) == ["2.png"]


def test_the_box_does_not_move_what_people_have_judged(store: Any) -> None:
    first, judged, third = (send(store, number) for number in (1, 2, 3))
    store.grouping.settle(image_of(store, first), FileSays(STUDY))
    store.readings.add(judged, Draft(Kind.OUTCOME, Judgement.FRACTURE), "p1", lambda _record: "")
    for one in (judged, third):
        store.grouping.settle(image_of(store, one), FileSays(STUDY))
    assert views(store, judged) == ["2.png"] and views(store, first) == ["1.png", "3.png"]
    assert store.grouping.near(judged) == (first,)


@pytest.mark.parametrize(
    ("label", "patient", "differs"),
    [
        ("A 17", "B 23", True),
        ("7", "007", True),
        ("Otieno Jane", "otieno^  jane ", False),
        ("A 17", "", False),
        ("", "B 23", False),
        ("W" * 100, "w" * 100, False),
    ],
)
@pytest.mark.parametrize("take_label", [True, False])
def test_a_file_that_names_another_patient_is_noted(
    store: Any, label: str, patient: str, differs: bool, take_label: bool
) -> None:
    one = send(store, 1, label)
    store.grouping.settle(image_of(store, one), FileSays("", patient), take_label)
    found = store.records.examination(one)
    assert found.images[0].names_other is differs
    assert found.patient_label == (label[:80] or (patient if take_label else ""))


def test_every_view_of_an_examination_is_held_against_its_label(store: Any) -> None:
    one = send(store, 1)
    send(store, 2, examination=one)
    send(store, 3, examination=one)
    numbers = [image.id for image in store.records.examination(one).images]
    for number, patient in zip(numbers, ("P 7", "P 8", "p 7"), strict=True):
        store.grouping.settle(number, FileSays(STUDY, patient))
    found = store.records.examination(one)
    assert [image.names_other for image in found.images] == [False, True, False]
    assert found.patient_label == "P 7"


def test_an_examination_that_ended_keeps_no_label(store: Any) -> None:
    one, other = send(store, 1, "A 17"), send(store, 2)
    store.grouping.join(one, other, "kiosk")
    assert store.records.examination(one).patient_label == ""
    assert store.records.examination(other).patient_label == "A 17"


def test_only_examinations_of_about_the_same_time_and_the_same_label_are_offered(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [datetime(2026, 1, 1, 12)]
    monkeypatch.setattr(records_module, "now_utc", lambda: now[0])
    first, labelled = send(store, 1), send(store, 2, "A")
    now[0] += timedelta(minutes=20)
    near = send(store, 3)
    now[0] += timedelta(hours=20)
    later, again = send(store, 4), send(store, 5, "A")
    assert store.grouping.near(first) == (near,) and store.grouping.near(later) == ()
    assert store.grouping.near(again) == (labelled,) and store.grouping.near("nothing") == ()


def test_consent_to_one_view_is_none_to_two(store: Any) -> None:
    from device_app.store.models import Examination

    first, second = send(store, 1), send(store, 2)
    with store.database.write() as session:
        for row in session.query(Examination).filter(Examination.public_id == first):
            row.consent_utc = datetime(2026, 1, 1)
    assert store.records.examination(first).consent_utc is not None
    store.grouping.join(second, first, "kiosk")
    assert store.records.examination(first).consent_utc is None
    assert dataclasses.asdict(store.records.examination(second))["joined_into"] == first
