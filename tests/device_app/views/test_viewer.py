"""What the viewer is given: a picture while it is being read, values and facts, and earlier pictures."""

from __future__ import annotations

import gzip
import html
import json
import re
from typing import Any

import pytest

from device_app import create_app
from device_app.gray_values import unpack
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_screens import NOTICE, READY, send


def sent(client: Any, gap: float, seed: int, label: str = "") -> str:
    address: str = send(client, (f"{seed}.png", sample.picture(gap, seed)), label=label).headers["Location"]
    return address


def show_unanswered(store: Any, detector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the next picture as far as the engine, which never answers."""
    from device_app.worker import read_picture

    class StoppedError(Exception):
        pass

    def never(*_given: Any) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(type(detector), "detect", never)
        with pytest.raises(StoppedError):
            read_picture(store.queue.claim("here"), store, detector)


def test_a_picture_is_shown_while_it_is_being_read(
    config: Any, store: Any, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(config, FixedReader(READY)).test_client()
    address = sent(client, sample.FRACTURE, 1)
    before = client.get(f"{address}state").json
    assert "screen.png" not in client.get(address).text
    show_unanswered(store, detector, monkeypatch)
    after, page = client.get(f"{address}state").json, client.get(address).text
    assert before["seen"] != after["seen"] and after["ended"] == 0 and after["state"] == "working"
    assert f'data-seen="{after["seen"]}"' in page
    assert "screen.png" in page and 'viewBox="0 0 400 520"' in page
    assert ">Still working</h1>" in page and NOTICE in page
    assert 'class="box"' not in page and "heat" not in page and "No fracture found" not in page


def test_the_values_come_compressed_and_are_the_files_own(client: Any, work_off: Any) -> None:
    address = sent(client, sample.NONE, 2)
    work_off()
    page = client.get(address).text
    facts = json.loads(html.unescape(re.search(r"data-facts='([^']+)'", page)[1]))  # type: ignore[index]
    answer = client.get(re.search(r'data-values="([^"]+)"', page)[1])  # type: ignore[index]
    assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["Cache-Control"] == "no-store"
    assert len(gzip.decompress(answer.data)) == 2 * 400 * 520
    values = unpack(answer.data, facts["values_width_px"], facts["values_height_px"])
    assert (values == sample.forearm(sample.NONE, 2)).all()


@pytest.mark.parametrize("path", ["99/values", "1/values/x", "1/facts", "1/values.gz", "1/values.png"])
def test_no_other_values_are_served(client: Any, work_off: Any, path: str) -> None:
    address = sent(client, sample.NONE, 3)
    work_off()
    assert client.get(f"{address}images/{path}").status_code == 404


@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_without_its_facts_a_picture_keeps_its_answer_and_loses_a_tool(
    client: Any, store: Any, work_off: Any, damage: bytes | None
) -> None:
    address = sent(client, sample.FRACTURE, 4)
    work_off()
    image = store.records.history(1, 1).examinations[0].images[0]
    path = store.files.derived_path(image.sha256, "facts")
    path.unlink() if damage is None else path.write_bytes(damage)
    page = client.get(address).text
    assert ">Fracture suspected</h1>" in page and 'class="box"' in page and 'data-switch="ruler"' in page
    assert "data-facts" not in page and 'data-switch="light"' not in page


def test_earlier_pictures_of_the_same_label_can_be_chosen(client: Any, work_off: Any) -> None:
    sent(client, sample.FRACTURE, 5, "P 5")
    sent(client, sample.NONE, 6, "P 6")
    latest = sent(client, sample.NONE, 7, "P 5")
    work_off()
    page = client.get(latest).text
    assert page.count('class="past-one"') == 1 and "Earlier pictures of “P 5”" in page
    assert "viewer-earlier" not in page and "Stop comparing" not in page


def test_an_earlier_picture_stands_beside_with_its_date_and_answer(client: Any, work_off: Any) -> None:
    first = sent(client, sample.FRACTURE, 8, "P 8")
    latest = sent(client, sample.NONE, 9, "P 8")
    work_off()
    chosen = html.unescape(re.search(r'class="past-one" href="([^"]+)"', client.get(latest).text)[1])  # type: ignore[index]
    page = client.get(chosen).text
    assert ">No fracture found</h1>" in page and page.count("</h1>") == 1 and page.count(NOTICE) == 1
    earlier = page[page.index("viewer-earlier") :]
    assert re.search(r'class="when">Earlier: \d+ \w+ \d{4}, \d\d:\d\d</span> Fracture suspected', earlier)
    assert f"{first}images/" in earlier and 'class="box"' in earlier
    assert 'class="box"' not in page[: page.index("viewer-earlier")]


@pytest.mark.parametrize("beside", ["", "x", "-1", "99999", "3", "2"])
def test_only_an_earlier_picture_of_the_same_label_stands_beside(
    client: Any, work_off: Any, beside: str
) -> None:
    sent(client, sample.NONE, 10, "P 10")
    sent(client, sample.FRACTURE, 11, "another")
    latest = sent(client, sample.NONE, 12, "P 10")
    work_off()
    assert "viewer-earlier" not in client.get(f"{latest}?beside={beside}").text
    assert "viewer-earlier" in client.get(f"{latest}?beside=1").text


def test_pictures_without_a_label_are_not_compared(client: Any, work_off: Any) -> None:
    sent(client, sample.NONE, 13)
    latest = sent(client, sample.NONE, 14)
    work_off()
    assert "past-one" not in client.get(latest).text
    assert "viewer-earlier" not in client.get(f"{latest}?beside=1").text
