"""The page of the camera, what it sends, and where a photograph that was refused leads to."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.answers import Answer, ScreenState
from device_app.words import reason_words
from runtime.findings import RefusalCode
from tests.device_app import sample
from tests.device_app.photographs import SHAKEN, photograph


def send(client: FlaskClient, data: bytes, path: str = "/photograph", **form: str) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/photograph").text)
    assert token is not None
    fields = {"csrf_token": token[1], "picture": (io.BytesIO(data), "photo.jpg"), **form}
    return client.post(path, data=fields, content_type="multipart/form-data")


def test_the_page_opens_the_camera_and_asks_what_the_upload_asks(client: FlaskClient) -> None:
    page = client.get("/photograph").text

    assert 'accept="image/*" capture="environment"' in page
    assert 'name="patient_label"' in page and 'id="facts"' in page
    assert "/photograph" in client.get("/").text


def test_what_is_sent_there_is_stored_as_a_photograph_and_read_as_one(client, store, work_off) -> None:
    answer = send(client, photograph(sample.FRACTURE), patient_label="P 7")
    work_off()
    page = client.get(answer.headers["Location"]).text

    assert answer.status_code == 303
    assert "Fracture suspected" in page and "Photograph of a film" in page and "P 7" in page
    assert "read from a photograph of a film" in page


def test_a_refused_photograph_says_why_and_leads_back_with_the_patient(client, work_off) -> None:
    answer = send(client, photograph(sample.FRACTURE, scene=SHAKEN), patient_label="P 8")
    work_off()
    page = client.get(answer.headers["Location"]).text
    link = re.search(r'href="(/photograph\?again=[^"]+)"', page)

    assert "Cannot read this picture" in page and "The photograph is blurred or shaken." in page
    assert link is not None
    again = client.get(link[1]).text
    assert 'value="P 8"' in again and "Take the photograph again · <strong><bdi>P 8</bdi></strong>" in again
    assert "It is of another patient" in again


def test_a_refused_file_does_not_lead_to_the_camera(client, work_off) -> None:
    answer = send(client, b"no picture", "/pictures")
    work_off()

    assert "/photograph?again" not in client.get(answer.headers["Location"]).text


def test_another_view_joins_its_examination(client, store) -> None:
    first = send(client, photograph(sample.NONE)).headers["Location"].strip("/").split("/")[-1]
    assert "Another view of the same examination" in client.get(f"/photograph?examination={first}").text
    send(client, photograph(sample.NONE, seed=2), examination=first)

    views = store.records.examination(first).images
    assert [view.photographed for view in views] == [True, True]


@pytest.mark.parametrize("path", ["/pictures", "/photograph"])
def test_bytes_that_were_sent_before_keep_what_they_were_sent_as(client, store, path: str) -> None:
    data = photograph(sample.NONE)
    send(client, data, path)
    page = client.get(send(client, data).headers["Location"]).text

    assert "This picture was already here." in page
    assert ("It was sent as a file before" in page) is (path == "/pictures")


def test_an_examination_that_is_not_there_makes_a_new_one(client) -> None:
    answer = client.get("/photograph?examination=unknown")

    assert answer.status_code == 200 and "Another view" not in answer.text


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_refusal_has_words_for_a_screen(code: RefusalCode) -> None:
    said, unknown = (
        reason_words(Answer(ScreenState.UNREADABLE, reason=reason)) for reason in (code, "never heard of")
    )
    assert said is not None and unknown is not None and str(said.what) != str(unknown.what)
