"""Readings on a real store: added, logged, never changed."""

from __future__ import annotations

import pytest

from device_app.audit import faults
from device_app.readings import Draft, Judgement, Kind, Place
from device_app.store import open_store
from runtime.errors import InputError
from tests.device_app import sample


@pytest.fixture
def examination(receive, work_off) -> str:
    receipt = receive(sample.picture(sample.FRACTURE), label="P 1")
    work_off()
    return receipt.public_id


def says(verdict: str):
    """What the box says of every examination."""
    return lambda _: verdict


def image_of(store, examination: str) -> int:
    return store.records.examination(examination).images[0].id


def test_what_is_said_is_there_after_a_restart_and_in_the_log(config, store, examination) -> None:
    place = Place(image_of(store, examination), 10, 20, 30.5, 40)
    draft = Draft(Kind.SECOND, Judgement.FRACTURE, (place,), "radius")
    said = store.readings.add(examination, draft, "p1", says("fracture"))
    again = open_store(config)
    assert again.readings.of(examination) == again.readings.all() == (said,)
    assert (said.places, said.note, said.box_verdict) == ((place,), "radius", "fracture")
    last = list(again.log.written())[-1].entry
    again.close()
    assert (last.action, last.actor, last.subject) == ("read_by_person", "p1", examination)
    assert last.detail == {"kind": "second", "verdict": "fracture", "box": "fracture", "places": 1}
    assert faults(store.log.written()) == []


def test_a_second_thought_is_added_and_the_first_one_stays(store, examination) -> None:
    for judgement in (Judgement.NONE, Judgement.FRACTURE):
        store.readings.add(examination, Draft(Kind.SECOND, judgement), "p1", says("fracture"))
    assert [said.judgement for said in store.readings.of(examination)] == [Judgement.NONE, Judgement.FRACTURE]


@pytest.mark.parametrize("before", [Kind.OWN, Kind.SECOND])
def test_an_own_reading_is_given_once_and_before_any_other(store, examination, before: Kind) -> None:
    store.readings.add(examination, Draft(before, Judgement.NONE), "p1", says("fracture"))
    with pytest.raises(InputError, match="read already"):
        store.readings.add(examination, Draft(Kind.OWN, Judgement.FRACTURE), "p1", says("fracture"))
    store.readings.add(examination, Draft(Kind.OWN, Judgement.FRACTURE), "p2", says("fracture"))
    assert len(store.readings.of(examination)) == 2


def test_a_place_on_another_examinations_picture_is_refused_and_nothing_is_stored(
    store, examination, receive
) -> None:
    other = image_of(store, receive(sample.picture(sample.NONE, 2)).public_id)
    with pytest.raises(InputError, match="another picture"):
        draft = Draft(Kind.SECOND, Judgement.FRACTURE, (Place(other, 0, 0, 5, 5),))
        store.readings.add(examination, draft, "p1", says("fracture"))
    assert not store.readings.all()


def test_an_examination_that_is_not_there_is_refused(store) -> None:
    with pytest.raises(InputError, match="no such examination"):
        store.readings.add("nowhere", Draft(Kind.SECOND, Judgement.NONE), "p1", says(""))


def test_what_cannot_be_said_now_is_not_stored(store, examination) -> None:
    def refuse(_: object) -> str:
        raise InputError("not now", "later")

    with pytest.raises(InputError, match="not now"):
        store.readings.add(examination, Draft(Kind.SECOND, Judgement.NONE), "p1", refuse)
    assert not store.readings.all() and list(store.log.written())[-1].entry.action == "answered"


def test_a_row_with_spoilt_places_hides_nothing_else(store, examination) -> None:
    place = Place(image_of(store, examination), 0, 0, 5, 5)
    store.readings.add(examination, Draft(Kind.SECOND, Judgement.FRACTURE, (place,)), "p1", says("fracture"))
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE readings SET boxes_json = 'oops'")
    (said,) = store.readings.of(examination)
    assert (said.judgement, said.places) == (Judgement.FRACTURE, ())


@pytest.mark.parametrize(
    ("text", "kept"), [("", None), ("oops", ()), ("[[]]", ()), ("[1e999]", ()), ("[7]", (7,))]
)
def test_the_pictures_of_a_reading_are_known_not_kept_or_spoilt(
    store, examination, text: str, kept: object
) -> None:
    store.readings.add(examination, Draft(Kind.SECOND, Judgement.NONE), "p1", says("none"))
    (said,) = store.readings.of(examination)
    assert said.image_ids == (image_of(store, examination),)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE readings SET image_ids_json = ?", (text,))
    (said,) = store.readings.of(examination)
    assert said.image_ids == kept


def test_a_picture_that_took_the_place_of_another_may_be_read_first(
    store, examination, receive, work_off
) -> None:
    wrong, other = (receive(sample.picture(sample.NONE, seed), label="P 1").public_id for seed in (2, 3))
    work_off()
    store.grouping.join(wrong, examination, "p1")
    store.readings.add(examination, Draft(Kind.OWN, Judgement.NONE), "p1", says("fracture"))
    store.grouping.part(examination, store.records.examination(examination).images[1].id, "p1")
    with pytest.raises(InputError, match="read already"):
        store.readings.add(examination, Draft(Kind.OWN, Judgement.NONE), "p1", says("fracture"))
    store.grouping.join(other, examination, "p1")
    store.readings.add(examination, Draft(Kind.OWN, Judgement.DOUBT), "p1", says("fracture"))
    assert [len(said.image_ids) for said in store.readings.of(examination)] == [2, 2]


PLACE = Place(1, 10, 20, 30, 40)


@pytest.mark.parametrize("kind", Kind)
def test_what_stands_already_is_kept_once(store, examination, kind: Kind) -> None:
    draft = Draft(kind, Judgement.FRACTURE, (PLACE,), "radius")
    first, again = (store.readings.add(examination, draft, "p1", says("doubt")) for _ in range(2))
    assert store.readings.all() == (first,) == (again,)
    assert [written.entry.action for written in store.log.written()].count("read_by_person") == 1


@pytest.mark.parametrize(
    ("actor", "draft", "box"),
    [
        ("p2", Draft(Kind.SECOND, Judgement.FRACTURE, (PLACE,), "radius"), "doubt"),
        ("p1", Draft(Kind.OUTCOME, Judgement.FRACTURE, (PLACE,), "radius"), "doubt"),
        ("p1", Draft(Kind.SECOND, Judgement.DOUBT, (PLACE,), "radius"), "doubt"),
        ("p1", Draft(Kind.SECOND, Judgement.FRACTURE, (), "radius"), "doubt"),
        ("p1", Draft(Kind.SECOND, Judgement.FRACTURE, (PLACE,), "ulna"), "doubt"),
        ("p1", Draft(Kind.SECOND, Judgement.FRACTURE, (PLACE,), "radius"), "fracture"),
    ],
    ids=["another person", "outcome", "judgement", "places", "note", "another answer of the box"],
)
def test_what_differs_in_anything_is_kept_beside_it(
    store, examination, actor: str, draft: Draft, box: str
) -> None:
    stands = Draft(Kind.SECOND, Judgement.FRACTURE, (PLACE,), "radius")
    store.readings.add(examination, stands, "p1", says("doubt"))
    store.readings.add(examination, draft, actor, says(box))
    assert len(store.readings.all()) == 2


def test_what_was_said_of_fewer_pictures_is_said_anew_of_all(store, examination, receive) -> None:
    store.readings.add(examination, Draft(Kind.SECOND, Judgement.NONE), "p1", says("none"))
    store.grouping.join(receive(sample.picture(sample.NONE, 2), label="P 1").public_id, examination, "p1")
    store.readings.add(examination, Draft(Kind.SECOND, Judgement.NONE), "p1", says("none"))
    assert [len(said.image_ids) for said in store.readings.all()] == [1, 2]


@pytest.mark.parametrize("kind", [Kind.SECOND, Kind.OUTCOME])
def test_who_changes_her_mind_and_comes_back_is_kept_three_times(store, examination, kind: Kind) -> None:
    minds = [Judgement.NONE, Judgement.FRACTURE, Judgement.NONE]
    for judgement in minds:
        store.readings.add(examination, Draft(kind, judgement), "p1", says("none"))
    assert [said.judgement for said in store.readings.all()] == minds


def test_an_outcome_is_stated_anew_after_another_persons_which_would_count(store, examination) -> None:
    for actor, judgement in (("p1", Judgement.FRACTURE), ("p2", Judgement.NONE), ("p1", Judgement.FRACTURE)):
        store.readings.add(examination, Draft(Kind.OUTCOME, judgement), actor, says("none"))
    assert len(store.readings.all()) == 3
