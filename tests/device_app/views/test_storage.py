"""What the pages say of the disk: how long it lasts, what is removed from it, and whether it is encrypted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_app import create_app
from device_app.retention import Removable
from device_app.storage_words import encryption_words, keeping_words
from tests.device_app import sample


def test_the_box_page_says_how_long_pictures_are_kept_and_whether_the_disk_is_encrypted(client):
    page = client.get("/box").text
    assert "Pictures are kept" in page and "for ever" in page and "Encrypted" in page


def test_every_page_warns_before_the_disk_is_full(config, store, receive):
    receive(sample.picture(sample.NONE))
    free = store.records.free_bytes()
    scarce = create_app(replace(config, reserve_bytes=free // 2)).test_client()
    for path in ("/", "/history", "/box"):
        page = scarce.get(path).text
        assert "Then it takes no new pictures. Tell whoever looks after the box." in page, path
    assert "Then it takes no new pictures." not in create_app(config).test_client().get("/").text


@pytest.mark.parametrize("days", [0, 30, 400])
def test_the_rule_is_said_in_words(client, days):
    with client.application.test_request_context():
        assert (str(days) in keeping_words(days, Removable())) is (days > 0)
        assert "three days without a jump" in keeping_words(30, Removable((), 4, "clock"))


def test_an_open_disk_is_no_yes(client):
    with client.application.test_request_context():
        said = {answer: encryption_words(answer) for answer in (True, False, None)}
    assert (
        said[True] == "yes" and said[False].startswith("no") and said[None] not in (said[True], said[False])
    )
