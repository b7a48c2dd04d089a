"""Second readings, outcomes, and the box's answer that waits for one's own, through Flask's client."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.access.roles import Role
from device_app.readings import Place
from tests.device_app import sample
from tests.device_app.views.test_access import post, public_id, sign_in
from tests.device_app.views.test_screens import send

ANSWER = "Fracture suspected"


@pytest.fixture
def page(client: FlaskClient, work_off: Any) -> str:
    """The address of an examination whose answer is "fracture"."""
    address = str(send(client, ("a.png", sample.picture(sample.FRACTURE)), label="P 1").headers["Location"])
    work_off()
    return address


def own_first(client: FlaskClient) -> None:
    client.application.extensions["ulna-access"].settings.change("box", own_read_first=True)


def test_a_reader_says_what_she_thinks_and_it_stands_below_the_answer(client, people, page) -> None:
    sign_in(client, people, Role.READER)
    assert post(client, f"{page}second", judgement="none", note="old <b>scar").status_code == 303
    text = client.get(page).text
    assert ANSWER in text and "Second reading: No fracture" in text and "old &lt;b&gt;scar" in text
    assert "<bdi>reader</bdi>" in text


def test_nothing_is_overwritten(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    for judgement in ("none", "fracture"):
        post(client, f"{page}second", judgement=judgement)
    post(client, f"{page}outcome", judgement="fracture")
    text = client.get(page).text
    assert (
        text.index("Second reading: No fracture")
        < text.index("Second reading: Fracture")
        < text.index("In the end: Fracture")
    )
    assert [str(said.judgement) for said in store.readings.all()] == ["none", "fracture", "fracture"]


@pytest.mark.parametrize("what", ["second", "outcome"])
@pytest.mark.parametrize("role", [None, Role.USER])
def test_nobody_but_a_reader_judges(client, people, page, store, what: str, role: Role | None) -> None:
    if role is not None:
        sign_in(client, people, role)
    assert post(client, f"{page}{what}", judgement="none").status_code in (401, 403)
    assert not store.readings.all() and "Say what you think of it" not in client.get(page).text


@pytest.mark.parametrize(
    ("what", "form"),
    [
        ("second", {}),
        ("second", {"judgement": "broken"}),
        ("outcome", {"judgement": "doubt"}),
        ("own", {"judgement": ""}),
    ],
)
def test_what_cannot_be_said_is_not_stored(
    client, people, page, store, what: str, form: dict[str, str]
) -> None:
    sign_in(client, people, Role.READER)
    answer = post(client, f"{page}{what}", **form)
    assert answer.status_code == 400 and "This reading was not stored" in answer.text
    assert not store.readings.all()


def test_the_answer_is_nowhere_until_ones_own_is_given(client, people, page) -> None:
    own_first(client)
    assert client.get(page).status_code == 303  # whoever reads has a name
    sign_in(client, people, Role.ADMINISTRATOR)
    text = client.get(page).text
    assert "Your reading first" in text and 'class="box"' not in text
    for told in (ANSWER, "Keep the injured part still", "heat.png", "result-fracture", "boxes-fracture"):
        assert told not in text, told
    history = client.get("/history").text
    assert ANSWER not in history and "row-fracture" not in history and "Your reading first" in history
    state = client.get(f"{page}state", headers={"Accept": "application/json"}).json
    assert "fracture" not in str(state) and "verdict" not in client.get("/log/").text
    heat = re.search(r'"([^"]+)/screen.png"', text)
    assert heat is not None and client.get(f"{heat[1]}/heat.png").status_code == 404
    assert client.get(f"{heat[1]}/screen.png").status_code == 200


def test_ones_own_reading_brings_the_answer_and_is_kept_with_it(client, people, page, store) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    assert post(client, f"{page}own", judgement="none").status_code == 303
    text = client.get(page).text
    assert ANSWER in text and "Before the box's answer: No fracture" in text.replace("&#39;", "'")
    (said,) = store.readings.all()
    told = (str(said.kind), str(said.judgement), said.box_verdict, said.actor)
    assert told == ("own", "none", "fracture", public_id(people, "reader"))
    assert post(client, f"{page}own", judgement="fracture").status_code == 400


@pytest.mark.parametrize("what", ["second", "outcome"])
def test_nothing_else_is_said_before_ones_own(client, people, page, store, what: str) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    assert post(client, f"{page}{what}", judgement="none").status_code == 400
    assert not store.readings.all() and ANSWER not in client.get(page).text


@pytest.mark.parametrize("what", ["own", "second", "outcome"])
def test_nothing_is_said_before_the_box_has_read_it(client, people, work_off, store, what: str) -> None:
    sign_in(client, people, Role.READER)
    address = send(client, ("b.png", sample.picture(sample.FRACTURE, 5))).headers["Location"]
    assert "Say what you think of it" not in client.get(address).text
    assert post(client, f"{address}{what}", judgement="fracture").status_code == 400
    assert not store.readings.all()


def test_an_answer_that_was_seen_has_no_own_reading_before_it(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    assert post(client, f"{page}own", judgement="fracture").status_code == 400
    assert not store.readings.all()


def test_each_person_reads_before_the_box_answers_her(client, people, page) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    post(client, f"{page}own", judgement="fracture")
    assert ANSWER in client.get(page).text
    post(client, "/sign-in/out")
    sign_in(client, people, Role.USER)
    assert ANSWER not in client.get(page).text


def test_what_cannot_be_read_is_said_at_once(client, people, work_off) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    address = send(client, ("a.png", b"no picture")).headers["Location"]
    assert "Your reading first" not in client.get(address).text
    work_off()
    text = client.get(address).text
    assert "Cannot read this picture" in text and "Your reading first" not in text


def test_an_earlier_picture_is_compared_without_its_answer_too(client, people, page, work_off) -> None:
    later = send(client, ("b.png", sample.picture(sample.NONE, 7)), label="P 1").headers["Location"]
    work_off()
    own_first(client)
    sign_in(client, people, Role.USER)
    post(client, f"{later}own", judgement="none")
    text = client.get(later).text
    assert "No fracture found" in text and ANSWER not in text


def test_the_figures_are_of_what_was_said(client, people, page) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    post(client, f"{page}own", judgement="none")
    post(client, f"{page}second", judgement="fracture")
    post(client, f"{page}outcome", judgement="fracture")
    text = client.get("/agreement").text
    assert "0 of 1: 0 %" in text and text.count("1 of 1: 100 %") == 2 and "nothing yet" in text


def test_the_figures_are_a_readers(client, people) -> None:
    assert client.get("/agreement").status_code == 303
    sign_in(client, people, Role.USER)
    assert client.get("/agreement").status_code == 403


def row(image: int, *corners: float) -> dict[str, float]:
    return {"image_id": image, **dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), corners, strict=True))}


def image_of(store: Any, number: int = 0) -> int:
    return int(store.records.history(1, 9).examinations[number].images[0].id)


def test_agreeing_sends_the_verdict_and_the_places_that_the_page_shows(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    form = re.search(r'<section class="agree".*?</form>', client.get(page).text, re.DOTALL)
    assert form is not None
    sent = {
        name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])
    }
    assert client.post(f"{page}second", data=sent).status_code == 303
    (said,) = store.readings.all()
    answer = json.loads(store.records.history(1, 9).examinations[0].images[0].findings_json)
    (box,) = answer["boxes"]
    assert (str(said.judgement), said.box_verdict) == ("fracture", "fracture")
    assert said.places == (
        Place(image_of(store), *(box[name] for name in ("x0_px", "y0_px", "x1_px", "y1_px"))),
    )
    text = client.get(page).text
    assert "You agree with the box." in text and "I agree" not in text and "As the box" in text


def test_who_thinks_otherwise_afterwards_may_agree_again(client, people, page) -> None:
    sign_in(client, people, Role.READER)
    post(client, f"{page}second", judgement="none")
    text = client.get(page).text
    assert "Unlike the box" in text and "I agree: Fracture" in text and "You agree with the box." not in text


def test_nobody_agrees_with_a_box_that_has_no_answer(client, people, work_off) -> None:
    sign_in(client, people, Role.READER)
    address = send(client, ("a.png", b"no picture")).headers["Location"]
    work_off()
    text = client.get(address).text
    assert "Say what you think of it" in text and "I agree" not in text and "I do not agree" not in text


def test_places_stand_in_words_and_for_the_picture_with_who_marked_them(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    places = [row(image_of(store), 10, 20, 110, 100), row(image_of(store), 300, 400, 350.5, 470)]
    post(client, f"{page}second", judgement="doubt", places=json.dumps(places))
    post(client, "/sign-in/out")
    sign_in(client, people, Role.ADMINISTRATOR)
    text = client.get(page).text
    assert "Place 1: upper left, 100 x 80 px" in text and "Place 2: lower right, 50 x 70 px" in text
    shown = re.search(r"data-said-places='([^']+)' data-said-name=\"([^\"]+)\"", text)
    assert shown is not None and json.loads(html.unescape(shown[1])) == places and shown[2] == "reader"


@pytest.mark.parametrize(
    ("judgement", "corners"),
    [
        ("fracture", (0, 0, 401, 5)),
        ("fracture", (0, 0, 5, 520.5)),
        ("fracture", (-1, 0, 5, 5)),
        ("fracture", (5, 5, 5, 9)),
        ("none", (0, 0, 5, 5)),
        ("unreadable", (0, 0, 5, 5)),
    ],
)
def test_a_place_outside_the_picture_or_beside_the_answer_is_not_stored(
    client, people, page, store, judgement: str, corners: tuple[float, ...]
) -> None:
    sign_in(client, people, Role.READER)
    places = json.dumps([row(image_of(store), *corners)])
    answer = post(client, f"{page}second", judgement=judgement, places=places)
    assert answer.status_code == 400 and "a marked place does not belong" in answer.text
    assert not store.readings.all()


@pytest.mark.parametrize("places", ["oops", "{}", "[" * 9000, "[1]", json.dumps([row(1, 0, 0, 5, 5)] * 21)])
def test_places_that_cannot_be_read_are_not_stored(client, people, page, store, places: str) -> None:
    sign_in(client, people, Role.READER)
    assert post(client, f"{page}second", judgement="fracture", places=places).status_code == 400
    assert not store.readings.all()


@pytest.mark.parametrize("what", ["own", "second", "outcome"])
def test_a_place_on_another_examinations_picture_is_not_stored(
    client, people, page, work_off, store, what: str
) -> None:
    send(client, ("b.png", sample.picture(sample.FRACTURE, 8)))
    work_off()
    if what == "own":
        own_first(client)
    sign_in(client, people, Role.READER)
    other = image_of(store, 0)
    assert other not in [image.id for image in store.records.examination(page.split("/")[-2]).images]
    answer = post(client, f"{page}{what}", judgement="fracture", places=json.dumps([row(other, 0, 0, 5, 5)]))
    assert answer.status_code == 400 and not store.readings.all()


def test_ones_own_places_are_kept_and_the_boxs_are_not_on_that_page(client, people, page, store) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    text = client.get(page).text
    assert "data-places" in text and "data-box='[]'" in text and "take-over" not in text
    assert "data-said-places" not in text and "I agree" not in text
    places = json.dumps([row(image_of(store), 1, 2, 30, 40)])
    assert post(client, f"{page}own", judgement="doubt", places=places).status_code == 303
    assert store.readings.all()[0].places == (Place(image_of(store), 1, 2, 30, 40),)
