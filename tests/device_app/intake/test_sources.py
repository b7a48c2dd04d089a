"""What the page of the box is told of the sources."""

import pytest

from device_app import create_app
from device_app.intake.sources import SourceKind, Sources, Trouble, install_sources
from device_app.intake.words import KINDS, TROUBLES


def test_counts_and_troubles_are_kept_for_each_source(sources):
    sources.open(SourceKind.FOLDER, "/in")
    sources.open(SourceKind.STICK, "/media")
    sources.count(SourceKind.FOLDER, "taken")
    sources.count(SourceKind.FOLDER, "taken")
    sources.note(SourceKind.STICK, Trouble.AWAY, "gone")
    folder, stick = sources.all()
    assert (folder.taken, folder.known, folder.trouble) == (2, 0, Trouble.NONE)
    assert (stick.taken, stick.trouble, stick.detail) == (0, Trouble.AWAY, "gone")


def test_a_source_that_does_not_come_back_from_a_look_is_said_to_stall(sources, clock):
    sources.open(SourceKind.FOLDER, "/in")
    with sources.busy(SourceKind.FOLDER):
        clock.now_s += 60
        assert sources.all()[0].trouble is Trouble.NONE
        clock.now_s += 61
        assert sources.all()[0].trouble is Trouble.STALLED
    assert sources.all()[0].trouble is Trouble.NONE


def test_there_are_words_for_every_source_and_every_trouble():
    assert set(KINDS) == set(SourceKind)
    assert set(TROUBLES) == set(Trouble) - {Trouble.NONE}


@pytest.mark.parametrize("trouble", [one for one in Trouble if one])
def test_the_page_of_the_box_shows_each_source_and_what_keeps_it(config, store, trouble):
    app = create_app(config)
    sources = Sources()
    install_sources(app, sources)
    sources.open(SourceKind.FOLDER, "/srv/x-rays")
    sources.note(SourceKind.FOLDER, trouble)
    with app.test_request_context():
        said = str(TROUBLES[trouble])
    page = app.test_client().get("/box").text
    assert "Watched folder" in page and "/srv/x-rays" in page
    assert said.replace("'", "&#39;") in page
    (told,) = app.test_client().get("/health").json["sources"]
    assert (told["kind"], told["trouble"]) == ("folder", str(trouble))


def test_a_kiosk_without_sources_says_nothing_of_them(client):
    assert client.get("/health").json["sources"] == []
    assert "Watched folder" not in client.get("/box").text
