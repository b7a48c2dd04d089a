"""Stored pictures that are not on the disk any more are told to people and to machines."""

from __future__ import annotations

import pytest

from device_app import create_app
from device_app.housekeeping import Housekeeping
from device_app.monitoring.missing import Missing, MissingWatch, missing_of
from device_app.status import Phase, ReaderStatus
from device_app.store.database import now_utc
from device_app.store.removal import Removal
from device_app.views import monitor
from device_app.vitals import Vitals
from tests.device_app.conftest import FixedReader, wait_until

PICTURES = 4
PAGES = ("/box", "/box/watch/")


@pytest.fixture
def images(config, receive):
    """The folder of a box with a few pictures."""
    for number in range(PICTURES):
        receive(b"picture %d" % number)
    return config.data_dir / "images"


@pytest.fixture
def app(config, store, monkeypatch):
    monkeypatch.setattr(monitor, "read_vitals", lambda _folder: Vitals())
    return create_app(config, FixedReader(ReaderStatus(Phase.READY)))


def looked(app, store):
    """A client of the box after a look."""
    missing_of(app).look(store)
    return app.test_client()


def test_a_box_with_all_its_pictures_says_nothing(app, store, images):
    client = looked(app, store)
    assert missing_of(app).found == Missing(0, PICTURES)
    answer = client.get("/healthz")
    assert answer.status_code == 200 and answer.json["missing"] == {"pictures": 0, "expected": PICTURES}
    assert not any("not on the disk" in client.get(page).text for page in PAGES)


def test_one_that_is_lost_is_told_with_what_to_do_and_closes_no_box(app, store, images):
    next(images.glob("*/*")).unlink()
    client = looked(app, store)
    answer = client.get("/healthz")
    assert answer.status_code == 200 and answer.json["missing"]["pictures"] == 1
    for page in PAGES:
        text = client.get(page).text
        assert "1 stored picture is not on the disk." in text and "put it back" in text


def test_a_folder_of_pictures_that_is_gone_makes_the_box_unhealthy_until_it_is_back(
    app, store, images, config, receive
):
    images.rename(images.with_name("elsewhere"))
    images.mkdir()
    client = looked(app, store)
    answer = client.get("/healthz")
    assert answer.status_code == 503 and not answer.json["healthy"] and answer.json["intake_open"]
    assert all(f"{PICTURES} stored pictures are not on the disk." in client.get(page).text for page in PAGES)
    receive(b"another")
    missing_of(app).look_again(store)
    assert client.get("/healthz").json["missing"] == {"pictures": PICTURES, "expected": PICTURES + 1}
    assert client.get("/healthz").status_code == 200
    for path in images.with_name("elsewhere").glob("*/*"):
        (images / path.parent.name).mkdir(exist_ok=True)
        path.rename(images / path.parent.name / path.name)
    missing_of(app).look_again(store)
    assert missing_of(app).found.pictures == 0


def test_a_picture_whose_time_was_over_is_not_missed(store, images):
    claim = store.queue.claim("worker")
    assert store.queue.fail(claim, "engine", "")
    assert Removal(store.database, store.files).remove([claim.image_id], now_utc()) == 1
    watch = MissingWatch()
    watch.look(store)
    assert watch.found == Missing(0, PICTURES - 1)


def test_pictures_that_come_meanwhile_are_not_missed(store, images, receive, monkeypatch):
    """Bytes are stored before their row is."""
    here = store.files.here
    monkeypatch.setattr(type(store.files), "here", lambda _files: (receive(b"late"), here())[1])
    watch = MissingWatch()
    watch.look(store)
    assert watch.found.pictures == 0


def test_a_box_without_a_picture_misses_none(store):
    watch = MissingWatch()
    watch.look(store)
    assert watch.found == Missing() and not watch.found.is_all


def test_the_box_looks_by_itself(app, store, images, monkeypatch):
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    next(images.glob("*/*")).unlink()
    with Housekeeping(app):
        wait_until(lambda: missing_of(app).found == Missing(1, PICTURES))
