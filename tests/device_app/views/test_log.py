"""The copy of the log where people say their own before they see the box's answer."""

from __future__ import annotations

import json
import re

import pytest
from flask.testing import FlaskClient

from device_app.access.roles import Role
from device_app.audit import Anchor, Entry, Written, faults
from device_app.store.log_end import keep_end
from tests.device_app.views.test_access import post, sign_in

HELD = "The copy also holds what the box said of pictures that you have not read yet."


def copy(client: FlaskClient) -> list[dict[str, object]]:
    return [json.loads(line) for line in post(client, "/log/export").text.splitlines()]


def test_whoever_takes_a_copy_away_is_told_that_it_holds_the_boxs_answers(client, people) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    assert HELD not in client.get("/log/").text
    client.application.extensions["ulna-access"].settings.change("box", own_read_first=True)
    assert HELD in client.get("/log/").text


def test_a_copy_can_be_checked_whatever_the_site_hides(client, people) -> None:
    client.application.extensions["ulna-access"].settings.change("box", own_read_first=True)
    sign_in(client, people, Role.ADMINISTRATOR)
    *lines, end = copy(client)
    chain = [Written(Entry(**rest), str(sha256)) for sha256, rest in map(_apart, lines)]
    anchor = Anchor.of_text(str(end["anchor"]))
    assert len(chain) > 1 and faults(chain, [anchor]) == []
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", anchor.text())


def _apart(line: dict[str, object]) -> tuple[object, dict[str, object]]:
    return line["sha256"], {name: value for name, value in line.items() if name != "sha256"}


@pytest.mark.parametrize(
    "detail",
    [
        r'{"a": "\ud800"}',
        r'{"\udfff": 1}',
        r'{"a": ["\ud800\u0000"]}',
        '{"a": 1, "a": 2}',
        "[" * 50_000,
        "\x00",
    ],
)
def test_an_entry_that_nothing_can_print_is_shown_as_spoilt_and_told(client, people, store, detail) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET detail_json = ? WHERE number = 2", (detail,))
    page = client.get("/log/")
    assert page.status_code == 200 and "unreadable" in page.text
    checked = post(client, "/log/check")
    assert checked.status_code == 200 and "entry 2 was changed" in checked.text
    assert len(copy(client)) > 3


@pytest.mark.parametrize("column", ["subject", "actor", "action", "at_utc", "previous_sha256", "sha256"])
def test_bytes_that_are_no_text_are_shown_as_spoilt_and_told(client, people, store, column: str) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE audit SET {column} = CAST(x'61eda080ff' AS TEXT) WHERE number = 2"
        )
    assert client.get("/log/").status_code == 200
    assert "The log was changed." in post(client, "/log/check").text
    assert len(copy(client)) > 3


def test_a_log_that_was_cut_off_is_told_without_an_anchor_typed_in(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    assert "The log is whole." in post(client, "/log/check").text
    keep_end(store.database)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE number > 2")
    found = post(client, "/log/check").text
    assert "The log was changed." in found and "the end of the log was cut off" in found


def test_an_emptied_log_is_never_called_whole(client, people, store) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit")
    found = post(client, "/log/check").text
    assert "The log was changed." in found and "the log is empty" in found
