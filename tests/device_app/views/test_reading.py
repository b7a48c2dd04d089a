"""Second readings, outcomes, and the box's answer that waits for one's own, through Flask's client."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.access.roles import Role
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
    assert "0 of 1: 0 %" in text and text.count("1 of 1: 100 %") == 3 and "nothing yet" in text


def test_the_figures_are_a_readers(client, people) -> None:
    assert client.get("/agreement").status_code == 303
    sign_in(client, people, Role.USER)
    assert client.get("/agreement").status_code == 403
