"""The copy of the log where people say their own before they see the box's answer."""

from __future__ import annotations

import json
import re

from flask.testing import FlaskClient

from device_app.access.roles import Role
from device_app.audit import Anchor, Entry, Written, faults
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
