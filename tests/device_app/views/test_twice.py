"""Forms that are sent twice, by a finger that touches twice: done once, and the second answer leads on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.store.log import Action
from tests.device_app import sample
from tests.device_app.views.conftest import PINS
from tests.device_app.views.test_access import post, public_id, sign_in
from tests.device_app.views.test_reading import basis_of, judge, own_first
from tests.device_app.views.test_screens import send, token

Twice = Callable[..., list[Any]]
NEW = {"name": "Bola", "role": "user", "pin": "294715", "again": "294715"}


def in_a_row(client: FlaskClient, path: str, **form: str) -> list[Any]:
    """Both from the page as it was before the first."""
    cookie, data = _as_it_is(client, form)
    answers = []
    for _ in range(2):
        client.set_cookie("ulna", cookie)
        answers.append(client.post(path, data=data))
    return answers


def at_once(client: FlaskClient, path: str, **form: str) -> list[Any]:
    """Neither waits for the other's answer."""
    cookie, data = _as_it_is(client, form)
    ready, answers = threading.Barrier(2), []

    def touch() -> None:
        other = client.application.test_client()
        other.set_cookie("ulna", cookie)
        ready.wait()
        answers.append(other.post(path, data=data))

    touches = [threading.Thread(target=touch) for _ in range(2)]
    for one in touches:
        one.start()
    for one in touches:
        one.join()
    return answers


def _as_it_is(client: FlaskClient, form: dict[str, str]) -> tuple[str, dict[str, str]]:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in/").text)
    data = {"csrf_token": found[1] if found else token(client), **form}
    cookie = client.get_cookie("ulna")
    assert cookie is not None
    return cookie.value, data


@pytest.fixture(params=[in_a_row, at_once])
def twice(request: pytest.FixtureRequest) -> Twice:
    found: Twice = request.param
    return found


@pytest.fixture
def page(client: FlaskClient, work_off: Any) -> str:
    """The address of an examination whose answer is "fracture"."""
    address = give(client, sample.FRACTURE, 1)
    work_off()
    return address


def give(client: FlaskClient, gap: float, seed: int) -> str:
    return str(send(client, (f"{seed}.png", sample.picture(gap, seed)), label="P 1").headers["Location"])


def lead_to(answers: list[Any], address: str) -> bool:
    return [(one.status_code, one.headers.get("Location")) for one in answers] == [(303, address)] * 2


def ident(address: str) -> str:
    return address.split("/")[-2]


def logged(store: Any, action: Action) -> int:
    return [written.entry.action for written in store.log.written()].count(action)


@pytest.mark.parametrize("what", ["second", "outcome"])
def test_what_a_reader_says_is_stored_once(client, people, page, store, twice: Twice, what: str) -> None:
    sign_in(client, people, Role.READER)
    form = {"basis": basis_of(client, page), "judgement": "fracture", "note": "old scar"}
    assert lead_to(twice(client, f"{page}{what}", **form), page)
    assert len(store.readings.all()) == logged(store, Action.READ) == 1


def test_ones_own_reading_is_stored_once_and_brings_the_answer(client, people, page, store, twice) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    basis = basis_of(client, page)
    assert lead_to(twice(client, f"{page}own", basis=basis, judgement="none"), page)
    assert len(store.readings.all()) == logged(store, Action.READ) == 1


def test_another_own_reading_is_told_which_one_stands(client, people, page, store) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    basis = basis_of(client, page)
    post(client, f"{page}own", basis=basis, judgement="none", note="a scar")
    answer = post(client, f"{page}own", basis=basis, judgement="fracture")
    assert answer.status_code == 400 and len(store.readings.all()) == 1
    assert "Your first reading stands. This one was not stored." in answer.text
    assert "No fracture" in answer.text and "a scar" in answer.text and f'href="{page}"' in answer.text


@pytest.mark.parametrize("form", [{"judgement": ""}, {"judgement": "fracture", "places": "oops"}])
def test_a_reading_that_is_not_stored_leads_back_to_the_picture(
    client, people, page, form: dict[str, str]
) -> None:
    sign_in(client, people, Role.READER)
    answer = judge(client, page, "second", **form)
    assert answer.status_code == 400 and f'href="{page}"' in answer.text


def test_views_that_are_joined_already_are_one_examination(client, store, twice) -> None:
    first, second = (give(client, sample.NONE, seed) for seed in (1, 2))
    assert lead_to(twice(client, f"{first}views", other=ident(second)), first)
    assert len(store.records.examination(ident(first)).images) == logged(store, Action.JOINED) + 1 == 2
    answer = post(client, f"{second}views", other=ident(first))
    assert (answer.status_code, answer.headers["Location"]) == (303, first), "joined from the other's page"


def test_a_view_that_was_taken_out_since_is_not_said_to_be_joined(client, store) -> None:
    first, second = (give(client, sample.NONE, seed) for seed in (1, 2))
    post(client, f"{first}views", other=ident(second))
    post(client, f"{first}images/2/part")
    answer = post(client, f"{first}views", other=ident(second))
    assert answer.status_code == 409 and f'href="{first}"' in answer.text
    assert len(store.records.examination(ident(first)).images) == 1


def test_a_view_is_taken_out_once(client, store, twice) -> None:
    first, second, third = (give(client, sample.NONE, seed) for seed in (1, 2, 3))
    for other in (second, third):
        post(client, f"{first}views", other=ident(other))
    answers = twice(client, f"{first}images/2/part")
    assert [one.status_code for one in answers] == [303, 303]
    assert answers[0].headers["Location"] == answers[1].headers["Location"] != first
    assert store.records.history(1, 9).total == 2 and logged(store, Action.PARTED) == 1


def test_the_only_view_stays_and_the_page_leads_back_to_it(client, store) -> None:
    first = give(client, sample.NONE, 1)
    answer = post(client, f"{first}images/1/part")
    assert answer.status_code == 409 and f'href="{first}"' in answer.text


def test_somebody_is_added_once(client, people, store, twice) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    assert lead_to(twice(client, "/people/", **NEW), "/people/")
    assert [one.name for one in people.all()].count("Bola") == 1
    assert logged(store, Action.PERSON_ADDED) == len(PINS) + 1


@pytest.mark.parametrize(
    "other", [{"name": "BOLA"}, {"role": "reader"}, {"pin": "830271", "again": "830271"}], ids=str
)
def test_a_name_that_is_taken_by_somebody_else_is_refused(client, people, other: dict[str, str]) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, "/people/", **NEW)
    answer = post(client, "/people/", **{**NEW, **other})
    assert answer.status_code == 400 and "has this name already" in answer.text


@pytest.mark.parametrize("since", ["pin", "role"])
def test_an_administrator_learns_no_pin_by_adding_somebody_again(client, people, since: str) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, "/people/", **NEW)
    bola = public_id(people, "Bola")
    if since == "pin":
        people.set_pin(bola, "618273", bola)
    else:
        people.set_role(bola, Role.READER, "box")
    for pin in ("618273", NEW["pin"]):
        role = "user" if since == "pin" else "reader"
        answer = post(client, "/people/", **{**NEW, "role": role, "pin": pin, "again": pin})
        assert answer.status_code == 400 and "has this name already" in answer.text


@pytest.mark.parametrize("do", ["let_out", "let_in"])
def test_somebody_is_let_in_or_out_however_often_it_is_said(client, people, twice, do: str) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    reader = public_id(people, "reader")
    people.set_active(reader, do == "let_out", "box")
    assert lead_to(twice(client, f"/people/{reader}", do=do), "/people/")
    assert [one.active for one in people.all() if one.public_id == reader] == [do == "let_in"]


@pytest.mark.parametrize("path", ["/first/administrator", "/sign-in/first"])
def test_the_first_administrator_is_made_once_and_led_on(client, store, twice, path: str) -> None:
    answers = twice(client, path, name="Asha", pin="492741", again="492741")
    assert [one.status_code for one in answers] == [303, 303]
    assert [one.name for one in People(store.database).all()] == ["Asha"]
    (late,) = [one.headers["Location"] for one in answers if "/sign-in/" in one.headers["Location"]]
    client.delete_cookie("ulna")
    text = client.get(late).text
    assert "If that is you, sign in with the PIN that you chose." in text and 'class="wrong"' not in text
    after = re.search(r'name="next" value="([^"]+)"', text)
    assert after is not None and after[1] in ("/first/", "/settings/")
