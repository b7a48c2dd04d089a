"""Pictures without a record: every page about the box says that they are there, and who may take them in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.access.roles import Role
from device_app.store import open_store
from tests.device_app import sample
from tests.device_app.putting_back import put_back
from tests.device_app.views.test_access import post, public_id, sign_in

KEPT, LOST = sample.picture(sample.NONE, seed=1), sample.picture(sample.FRACTURE, seed=2)
ONE = "1 picture lies aside: the box has no record of it."
TAKE, LINK = "Take pictures in again", "/box/aside/"


@pytest.fixture
def store(config) -> Any:
    """A started box of which an older database was put back: one picture lies aside."""
    put_back(config, [KEPT], [LOST])
    opened = open_store(config)
    yield opened
    opened.close()


def taken(store) -> list[Any]:
    return [one for one in store.records.history(1, 9).examinations if one.source == "taken_in"]


def test_a_box_with_nothing_aside_says_nothing_of_it(client: FlaskClient, store, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, LINK, sure="yes")
    assert all(word not in client.get("/box").text for word in ("aside", TAKE))
    assert "aside" not in client.get("/history").text
    page = client.get(LINK).text
    assert "No pictures lie aside." in page and 'name="sure"' not in page


@pytest.mark.parametrize("role", [None, Role.USER, Role.READER])
def test_everybody_is_told_and_only_an_administrator_may_take_them_in(client, store, people, role) -> None:
    if role:
        sign_in(client, people, role)
    page = client.get("/box").text
    assert ONE in page and "Whoever looks after the box can take them in again." in page
    assert LINK not in page and TAKE not in page and ONE in client.get("/history").text
    assert client.get(LINK).status_code == (403 if role else 303)
    assert post(client, LINK, sure="yes").status_code == (403 if role else 401)
    assert len(store.files.aside()) == 1 and not taken(store)


def test_the_box_page_says_until_when_they_are_kept(client, store) -> None:
    assert "What lies aside is kept until it is taken in." in client.get("/box").text
    client.application.extensions["ulna-access"].settings.change("box", keep_days=30)
    assert "removed after 30 days; they begin when the clock has run" in client.get("/box").text
    store.files.sweep_aside(datetime(2026, 5, 1, 12), 30)
    page = client.get("/box").text
    assert "What lies aside is removed, from 31 May 2026" in page or "from 30 May 2026" in page


def test_nothing_is_done_before_somebody_has_said_that_removed_ones_may_come_back(
    client, store, people
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    assert LINK in client.get("/box").text
    page = client.get(LINK).text
    assert ONE in page and "those too that somebody removed on purpose" in page
    answer = post(client, LINK)
    assert answer.status_code == 400 and "Tick every box to confirm. Nothing was changed." in answer.text
    assert len(store.files.aside()) == 1 and not taken(store)


def test_an_administrator_takes_them_in_and_every_page_says_where_they_come_from(
    client, store, people, work_off
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    answer = post(client, LINK, sure="yes")
    assert answer.status_code == 200 and "1 picture was taken in." in answer.text
    assert not store.files.aside() and work_off() == 2
    (one,) = taken(store)
    whose = "The box had no record of this picture. Check whose picture this is."
    assert client.get("/history").text.count(whose) == 1
    page = client.get(f"/examinations/{one.public_id}/").text
    assert "Fracture suspected" in page and "it was taken in again. Compare it with the X-ray machine" in page
    assert whose in client.get(f"/examinations/{one.public_id}/report/").text
    entry = store.log.page(1, 9).entries
    (said,) = [line for line in entry if line.action == "pictures_taken_in"]
    assert (said.actor, said.detail["pictures"]) == (public_id(people, "administrator"), 1)
    assert "Pictures that were set aside taken in again" in client.get("/log/").text


def test_a_page_that_ended_before_the_last_says_so_and_goes_on(client, store, people, monkeypatch) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    monkeypatch.setattr("device_app.views.aside._SECONDS", 0.0)
    page = post(client, LINK, sure="yes").text
    assert "There are more. Go on." in page and ONE in page and "checked" in page
    monkeypatch.undo()
    assert "1 picture was taken in." in post(client, LINK, sure="yes").text


def test_a_damaged_one_is_told_and_stays(client, store, people) -> None:
    store.files.aside()[0].write_bytes(b"damaged")
    sign_in(client, people, Role.ADMINISTRATOR)
    page = post(client, LINK, sure="yes").text
    assert "1 picture is damaged and stays aside." in page and ONE in page and not taken(store)
