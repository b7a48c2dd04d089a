"""Who may open what, through Flask's client."""

from __future__ import annotations

import io
import json
import re
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from device_app import create_app
from device_app.access.gate import needed_by
from device_app.access.lockout import FREE_TRIES
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.settings import Settings
from device_app.store.database import Database, disk_full
from device_app.store.log import Action
from device_app.store.models import Setting
from tests.device_app import sample
from tests.device_app.views.conftest import PINS
from tests.device_app.views.test_screens import send


def post(client: FlaskClient, path: str, **form: str) -> Any:
    pages = client.get("/sign-in/").text + client.get("/").text  # one of them has a form
    token = re.search(r'name="csrf_token" value="([^"]+)"', pages)
    assert token is not None
    return client.post(path, data={"csrf_token": token[1], **form})


def public_id(people: People, name: str) -> str:
    return next(one.public_id for one in people.all() if one.name == name)


def sign_in(client: FlaskClient, people: People, role: Role, pin: str = "") -> Any:
    return post(client, "/sign-in/", person=public_id(people, str(role)), pin=pin or PINS[role])


def test_every_page_says_who_may_open_it(config, store) -> None:
    app = create_app(config)
    assert {
        rule.endpoint for rule in app.url_map.iter_rules() if needed_by(app, rule.endpoint) is None
    } == set()


def test_a_page_that_does_not_say_is_closed_to_the_administrator_too(config, people) -> None:
    app: Flask = create_app(config)
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    client = app.test_client()
    sign_in(client, people, Role.ADMINISTRATOR)
    answer = client.get("/forgotten")
    assert answer.status_code == 403 and "secret" not in answer.text


ADMINISTRATORS = ("/settings/", "/people/", "/log/")


@pytest.mark.parametrize("path", ADMINISTRATORS)
@pytest.mark.parametrize("role", [None, *PINS])
def test_the_administrators_pages_open_for_no_other(client, people, path: str, role: Role | None) -> None:
    if role is not None:
        assert sign_in(client, people, role).status_code == 303
    answer = client.get(path)
    expected = {None: 303, Role.ADMINISTRATOR: 200}.get(role, 403)
    assert answer.status_code == expected
    if role is None:
        assert answer.headers["Location"].startswith("/sign-in/?next=/")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/settings/", {"clinic": "Stolen", "idle_minutes": "240"}),
        ("/people/", {"name": "Mallory", "role": "administrator", "pin": "294715", "again": "294715"}),
        ("/log/export", {}),
        ("/log/check", {}),
    ],
)
@pytest.mark.parametrize("role", [None, Role.USER, Role.READER])
def test_nobody_else_changes_anything(
    client, store, people, path: str, form: dict[str, str], role: Role | None
) -> None:
    if role is not None:
        sign_in(client, people, role)
    assert post(client, path, **form).status_code in (401, 403)
    assert Settings(store.database).now().clinic == ""
    assert len(people.all()) == 3


def test_a_form_without_its_token_is_refused(client, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    client.application.testing = False
    answer = client.post("/people/", data={"name": "M", "role": "user", "pin": "294715", "again": "294715"})
    assert answer.status_code == 400 and len(people.all()) == 3


def test_a_kiosk_that_asks_nobody_lets_everybody_send_and_one_that_asks_nobody_else(
    client, store, people
) -> None:
    assert send(client, ("a.png", sample.picture(sample.NONE))).status_code == 303
    Settings(store.database).change("box", sign_in_to_use=True)
    client.application.extensions["ulna-access"].settings.change("box", sign_in_to_use=True)
    assert client.get("/").status_code == 303 and client.get("/history").status_code == 303
    assert post(client, "/pictures").status_code == 401
    assert client.get("/health").status_code in (200, 503) and client.get("/box").status_code == 200
    sign_in(client, people, Role.USER)
    assert client.get("/").status_code == 200


def test_pictures_of_patients_are_closed_too_when_a_pin_is_asked_for(client, store, people, work_off) -> None:
    page = send(client, ("a.png", sample.picture(sample.FRACTURE))).headers["Location"]
    work_off()
    picture = re.search(r'"([^"]+/screen.png)"', client.get(page).text)
    assert picture is not None and client.get(picture[1]).status_code == 200
    client.application.extensions["ulna-access"].settings.change("box", sign_in_to_use=True)
    for path in (page, f"{page}state", picture[1]):
        assert client.get(path).status_code == 303, path
        assert client.get(path, headers={"Accept": "application/json"}).status_code == 401, path


def test_who_signs_in_comes_back_to_the_page_that_was_asked_for(client, people) -> None:
    asked = client.get("/people/")
    form = client.get(asked.headers["Location"]).text
    wanted = re.search(r'name="next" value="([^"]+)"', form)
    assert wanted is not None and wanted[1] == "/people/"
    answer = post(
        client,
        "/sign-in/",
        person=public_id(people, "administrator"),
        pin=PINS[Role.ADMINISTRATOR],
        next=wanted[1],
    )
    assert answer.headers["Location"] == "/people/"


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org", "/\\example.org", "javascript:alert(1)", "x"]
)
def test_nobody_is_led_to_another_host(client, people, elsewhere: str) -> None:
    answer = post(client, "/sign-in/", person=public_id(people, "user"), pin=PINS[Role.USER], next=elsewhere)
    assert answer.headers["Location"] == "/"


def test_the_session_of_before_is_not_the_one_after_signing_in(client, people) -> None:
    client.get("/sign-in/")
    before = client.get_cookie("ulna")
    sign_in(client, people, Role.USER)
    after = client.get_cookie("ulna")
    assert before is not None and after is not None and before.value != after.value
    assert after.http_only and after.same_site == "Strict"


def test_a_cookie_that_was_kept_is_worth_nothing_after_signing_out(client, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    kept = client.get_cookie("ulna")
    post(client, "/sign-in/out")
    client.set_cookie("ulna", kept.value)
    assert client.get("/people/").status_code == 303


def test_the_session_of_whoever_was_signed_in_ends_when_somebody_else_signs_in(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    kept = client.get_cookie("ulna")
    sign_in(client, people, Role.USER)
    assert client.get("/people/").status_code == 403
    client.set_cookie("ulna", kept.value)
    assert client.get("/people/").status_code == 303
    ended = [entry.actor for entry in store.log.page(1, 9).entries if entry.action == Action.SIGNED_OUT]
    assert ended == [public_id(people, "administrator")]


def test_wrong_pins_are_counted_and_then_the_right_one_must_wait(client, people) -> None:
    for _ in range(FREE_TRIES):
        assert "This PIN is wrong." in sign_in(client, people, Role.USER, "111111").text
    assert "Too many wrong PINs. Wait 1 min" in sign_in(client, people, Role.USER, "111111").text
    answer = sign_in(client, people, Role.USER)
    assert answer.status_code == 403 and "Too many wrong PINs." in answer.text
    assert sign_in(client, people, Role.READER).status_code == 303


def test_a_stranger_on_the_network_locks_nobody_out_at_the_box(client, people) -> None:
    client.environ_base["REMOTE_ADDR"] = "192.168.1.20"
    for _ in range(FREE_TRIES + 1):
        sign_in(client, people, Role.USER, "111111")
    assert "Too many wrong PINs." in sign_in(client, people, Role.USER).text
    client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    assert sign_in(client, people, Role.USER).status_code == 303


def test_a_box_that_listens_on_its_own_address_is_opened_by_it_at_the_box(config, store) -> None:
    client = create_app(replace(config, host="192.168.1.5")).test_client()
    for address, said in (
        ("192.168.1.5", "There is no PIN to begin with"),
        ("192.168.1.6", "at the box itself"),
    ):
        client.environ_base["REMOTE_ADDR"] = address
        assert said in client.get("/sign-in/").text


def test_the_first_administrator_chooses_the_pin_at_the_box(client, store) -> None:
    assert "There is no PIN to begin with" in client.get("/sign-in/").text
    made = post(client, "/sign-in/first", name="Asha", pin="492741", again="492741")
    assert made.status_code == 303 and client.get("/people/").status_code == 200
    assert post(client, "/sign-in/first", name="Eve", pin="830271", again="830271").status_code == 400
    assert [one.name for one in People(store.database).all()] == ["Asha"]


def test_nobody_becomes_administrator_over_a_network(client, store) -> None:
    client.environ_base["REMOTE_ADDR"] = "192.168.1.20"
    assert "Open this page at the box itself" in client.get("/sign-in/").text
    assert post(client, "/sign-in/first", name="Eve", pin="492741", again="492741").status_code in (400, 403)
    assert not People(store.database).all()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"pin": "123456", "again": "123456"}, "too easy to guess"),
        ({"pin": "492741", "again": "492742"}, "The two PINs differ."),
        ({"pin": "4927", "again": "4927"}, "6 to 12 digits"),
        ({"name": " ", "pin": "492741", "again": "492741"}, "Write a name first."),
    ],
)
def test_what_cannot_be_stored_is_said_and_is_not(client, store, form: dict[str, str], says: str) -> None:
    assert says in post(client, "/sign-in/first", **{"name": "Asha", **form}).text
    assert not People(store.database).all()


def test_the_administrator_adds_changes_and_lets_out(client, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, "/people/", name="Bola", role="user", pin="294715", again="294715")
    bola = public_id(people, "Bola")
    post(client, f"/people/{bola}", do="role", role="reader")
    assert next(one.role for one in people.all() if one.name == "Bola") is Role.READER
    post(client, f"/people/{bola}", do="let_out")
    assert "Bola" not in [one.name for one in people.active()]
    post(client, f"/people/{bola}", do="let_in")
    assert "Bola" in [one.name for one in people.active()]
    own = public_id(people, "administrator")
    assert "This is the last one" in post(client, f"/people/{own}", do="let_out").text


def test_everybody_changes_the_own_pin_and_nobody_elses(client, people) -> None:
    sign_in(client, people, Role.USER)
    own, other = public_id(people, "user"), public_id(people, "administrator")
    assert client.get(f"/people/pin/{own}").status_code == 200
    assert client.get(f"/people/pin/{other}").status_code == 404
    assert post(client, f"/people/pin/{other}", pin="294715", again="294715").status_code == 403
    new = {"pin": "294715", "again": "294715"}
    for present in ("", "111111"):
        wrong = post(client, f"/people/pin/{own}", present=present, **new)
        assert wrong.status_code == 403 and "The present PIN is wrong." in wrong.text
    assert post(client, f"/people/pin/{own}", present=PINS[Role.USER], **new).status_code == 303
    assert client.get(f"/people/pin/{own}").status_code == 404  # signed out, and this kiosk asks nobody
    assert sign_in(client, people, Role.USER, "294715").status_code == 303


def test_the_log_is_shown_checked_and_taken_away(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    page = client.get("/log/").text
    assert "Signed in" in page and "Person added" in page and "administrator" in page
    copy = post(client, "/log/export")
    assert copy.headers["Content-Disposition"] == "attachment; filename=ulna-log.jsonl"
    anchor = re.search(r'"anchor": "(\d+:[0-9a-f]{64})"', copy.text)
    assert anchor is not None
    assert "The log is whole." in post(client, "/log/check", anchor=anchor[1]).text
    with store.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM audit WHERE number > 2")
    assert "the end of the log was cut off" in post(client, "/log/check", anchor=anchor[1]).text
    assert "This is no anchor." in post(client, "/log/check", anchor="12").text


def test_the_log_names_who_sent_a_picture(client, people, store) -> None:
    sign_in(client, people, Role.USER)
    send(client, ("a.png", sample.picture(sample.NONE)))
    last = list(store.log.written())[-1].entry
    assert (last.action, last.actor) == ("received", public_id(people, "user"))


def test_the_sites_name_stands_on_every_page(client, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    assert post(client, "/settings/", clinic="Clinic <b>Ж", idle_minutes="15").status_code == 303
    assert all(
        "Clinic &lt;b&gt;Ж" in client.get(path).text for path in ("/", "/history", "/box", "/settings/")
    )
    wrong = post(client, "/settings/", clinic="X", idle_minutes="0")
    assert wrong.status_code == 400 and "Clinic &lt;b&gt;Ж" in wrong.text


def test_a_session_lasts_as_long_as_the_site_says(client, people, clock) -> None:
    client.application.extensions["ulna-access"].settings.change("box", idle_minutes=3)
    sign_in(client, people, Role.ADMINISTRATOR)
    for _ in range(5):
        clock(timedelta(minutes=2))
        assert client.get("/people/").status_code == 200
    clock(timedelta(minutes=4))
    assert client.get("/people/").status_code == 303


@pytest.mark.parametrize("path", ["/box/banner", "/people/"])
def test_what_a_page_asks_by_itself_keeps_nobody_signed_in(client, people, clock, path: str) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    for _ in range(11):
        clock(timedelta(minutes=1))
        client.get(path, headers={"X-Ulna-Watching": "1"})
    assert client.get("/people/").status_code == 303


def test_what_somebody_sends_after_being_signed_out_is_not_stored_as_the_kiosks(
    client, people, store, clock
) -> None:
    sign_in(client, people, Role.USER)
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
    assert token is not None
    clock(timedelta(minutes=11))
    picture = (io.BytesIO(sample.picture(sample.NONE)), "a.png")
    answer = client.post("/pictures", data={"csrf_token": token[1], "picture": [picture]})
    assert answer.status_code == 401 and "You were signed out. Nothing was stored." in answer.text
    assert not store.records.known_digests()
    assert send(client, ("a.png", sample.picture(sample.NONE))).status_code == 303


@pytest.mark.parametrize("value", ["480", "oops", "[" * 2000, '"10"'])
def test_a_setting_that_cannot_be_used_costs_no_page(config, store, value: str) -> None:
    with store.database.write() as session:
        session.add(Setting(name="idle_minutes", value_json=value))
    client = create_app(config).test_client()
    assert client.get("/").status_code == 200 and client.get("/sign-in/").status_code == 200
    assert client.application.extensions["ulna-access"].settings.now().idle_minutes == 10


def test_who_may_use_a_kiosk_is_asked_where_the_setting_is_spoilt(config, store) -> None:
    with store.database.write() as session:
        session.add(Setting(name="sign_in_to_use", value_json="oops"))
    assert create_app(config).test_client().get("/").status_code == 303


def test_a_role_of_a_later_version_opens_nothing_and_breaks_nothing(client, people, store) -> None:
    sign_in(client, people, Role.READER)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE people SET role = 'auditor' WHERE name = 'reader'")
    assert client.get("/agreement").status_code == 303
    text = client.get("/sign-in/").text
    assert ">reader<" not in text and ">user<" in text


def test_a_database_that_takes_no_writes_keeps_nobody_from_looking(
    client, people, store, clock, monkeypatch
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    clock(timedelta(minutes=1))

    def full(_: Database) -> AbstractContextManager[Session]:
        raise disk_full()

    monkeypatch.setattr(Database, "write", full)
    assert client.get("/people/").status_code == 200 and client.get("/box/banner").status_code == 200


SPOILT = ["NaN", "[1]", '"x"', "[" * 100_000, '{"a": 1e999}', "{"]


@pytest.mark.parametrize("text", SPOILT, ids=range(len(SPOILT)))
def test_a_log_that_somebody_spoilt_is_called_changed_and_no_page_breaks(
    client, people, store, text: str
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE audit SET detail_json = ? WHERE number = 2", (text,))
    assert client.get("/log/").status_code == 200
    assert "entry 2 was changed" in post(client, "/log/check").text
    lines = post(client, "/log/export").text.splitlines()
    assert all(json.loads(line) for line in lines)


def test_a_copy_ends_with_the_anchor_of_its_own_last_entry(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    *_, last, end = map(json.loads, post(client, "/log/export").text.splitlines())
    assert end["anchor"] == f"{last['number']}:{last['sha256']}" and last["action"] == "log_exported"


def test_of_many_faults_the_first_are_shown_and_the_others_counted(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    for number in range(30):
        store.log.note("p1", Action.EXPORTED, str(number))
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE audit SET actor = x'00ff'")
    assert "and 14 more" in post(client, "/log/check").text


@pytest.mark.parametrize("elsewhere", ["//[", "/\n\\evil.example", "/\x00"])
def test_an_address_that_is_none_leads_to_the_first_page(client, people, elsewhere: str) -> None:
    assert client.get("/sign-in/", query_string={"next": elsewhere}).status_code == 200
    answer = post(client, "/sign-in/", person=public_id(people, "user"), pin=PINS[Role.USER], next=elsewhere)
    assert answer.headers["Location"] == "/"
