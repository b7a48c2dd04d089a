"""Several views of one examination on the screens, and a refused picture of which somebody says otherwise."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from device_app import create_app
from device_app.access.roles import Role
from device_app.store.records import MAX_VIEWS
from device_app.worker import read_picture
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.detector import Detector
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_access import post, sign_in
from tests.device_app.views.test_reading import judge
from tests.device_app.views.test_screens import READY, send, token
from tests.runtime.readers.makers import dicom


@pytest.fixture
def client(config: Any, store: Any) -> Any:
    return create_app(config, FixedReader(READY)).test_client()


@pytest.fixture
def work_off_forearms(store: Any, detector: Detector) -> Iterator[Any]:
    """As `work_off`, by a model that was made for forearms."""
    spec = replace(detector.spec, body_parts=("forearm",))
    with Detector(OrtBackend(ModelFiles(sample.model_bytes())), spec) as opened:

        def work() -> None:
            while (claim := store.queue.claim("here")) is not None:
                assert store.queue.complete(claim, read_picture(claim, store, opened))

        yield work


def give(client: Any, gap: float, seed: int, **form: str) -> Any:
    """One picture with more fields of the form; the outcome as the page's script gets it."""
    data = {
        "csrf_token": token(client),
        "picture": [(io.BytesIO(sample.picture(gap, seed)), f"{seed}.png")],
        **form,
    }
    answer = client.post(
        "/pictures", data=data, headers={"Accept": "application/json"}, content_type="multipart/form-data"
    )
    return answer.get_json()["outcomes"][0]


def headlines(page: str) -> list[str]:
    return re.findall(r'<h[12] id="headline[^"]*">(.*?)</h', page)


def test_views_sent_together_get_one_answer(client: Any, work_off: Any) -> None:
    first = give(client, sample.FRACTURE, 1, patient_label="P 1")
    second = give(client, sample.FRACTURE, 2, examination=first["examination"])
    assert second["examination"] == first["examination"] and second["url"] == first["url"]
    work_off()
    page = client.get(first["url"]).text
    assert headlines(page) == [
        "Fracture suspected",
        "View 1 of 2 by itself: Fracture suspected",
        "View 2 of 2 by itself: Fracture suspected",
    ]
    assert "This is the answer for all 2 views together." in page and page.count("What to do next") == 1
    assert client.get("/history").text.count('id="row-') == 1


def test_a_view_that_was_not_read_is_told_above_one_without_a_finding(
    client: Any, work_off_forearms: Any
) -> None:
    first = give(client, sample.NONE, 3)
    chest = give(client, sample.NONE, 4, examination=first["examination"], body_part="chest")
    assert chest["url"] == first["url"]
    work_off_forearms()
    page = client.get(first["url"]).text
    assert headlines(page)[0] == "Cannot read this picture" and "At least one view could not be read." in page
    assert "no fracture found" not in page.split('id="whole"')[1].split("</section>")[0].lower()


def test_without_a_script_several_files_are_one_examination_only_if_somebody_says_so(
    client: Any, store: Any
) -> None:
    pictures = [(f"{seed}.png", sample.picture(sample.NONE, seed)) for seed in (5, 6)]
    send(client, *pictures)
    assert store.records.history(1, 9).total == 2
    files = [(io.BytesIO(sample.picture(sample.NONE, seed)), f"{seed}.png") for seed in (7, 8)]
    form = {"csrf_token": token(client), "picture": files, "together": "yes"}
    client.post("/pictures", data=form, content_type="multipart/form-data")
    assert [len(one.images) for one in store.records.history(1, 9).examinations] == [2, 1, 1]


def test_a_full_examination_leaves_the_picture_by_itself_and_says_so(client: Any) -> None:
    first = give(client, sample.NONE, 10)
    for seed in range(11, 10 + MAX_VIEWS):
        give(client, sample.NONE, seed, examination=first["examination"])
    alone = give(client, sample.NONE, 30, examination=first["examination"])
    assert alone["url"] != first["url"] and "This picture stands by itself" in alone["says"]
    assert "No more views can be added." in client.get(first["url"]).text


def test_a_picture_of_about_the_same_time_is_joined_and_taken_out_again(client: Any, store: Any) -> None:
    first, second = (give(client, sample.NONE, seed, patient_label="P 2") for seed in (40, 41))
    page = client.get(first["url"]).text
    assert "1 picture was taken in at about the same time" in page
    joined = post(client, f"/examinations/{first['examination']}/views", other=second["examination"])
    assert joined.status_code == 303 and joined.headers["Location"] == first["url"]
    assert client.get(second["url"]).headers["Location"] == first["url"]
    image = store.records.examination(first["examination"]).images[1].id
    parted = post(client, f"/examinations/{first['examination']}/images/{image}/part")
    assert parted.status_code == 303 and parted.headers["Location"] not in (first["url"], second["url"])
    assert [len(one.images) for one in store.records.history(1, 9).examinations] == [1, 1]


@pytest.mark.parametrize("path", ["/", "/photograph"])
def test_an_old_address_adds_a_view_to_the_examination_that_holds_the_others(client: Any, path: str) -> None:
    first, second = give(client, sample.NONE, 45), give(client, sample.NONE, 46)
    post(client, f"/examinations/{first['examination']}/views", other=second["examination"])
    page = client.get(f"{path}?examination={second['examination']}")
    assert page.status_code == 200
    assert f'name="examination" value="{first["examination"]}"' in page.text


def test_pictures_of_two_patients_are_refused_in_plain_words(client: Any) -> None:
    first = give(client, sample.NONE, 50, patient_label="A")
    other = give(client, sample.NONE, 51, patient_label="B")
    answer = post(client, f"/examinations/{first['examination']}/views", other=other["examination"])
    assert answer.status_code == 409 and "of two patients. Nothing was changed." in answer.text
    assert "about the same time" not in client.get(first["url"]).text


@pytest.mark.parametrize("path", ["views", "images/1/part", "images/1/correct"])
def test_changing_what_belongs_together_needs_the_pages_own_form(client: Any, path: str) -> None:
    first = give(client, sample.NONE, 60)
    answer = client.post(f"/examinations/{first['examination']}/{path}", data={"other": "x"})
    assert answer.status_code == 400 and "This page is too old" in answer.text


def test_a_view_that_comes_after_ones_own_reading_asks_for_another(
    config: Any, store: Any, people: Any, client: Any, work_off: Any
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, "/settings/", own_read_first="yes", idle_minutes="10")
    first = give(client, sample.FRACTURE, 70)
    work_off()
    judge(client, first["url"], "own", judgement="doubt")
    assert "Fracture suspected" in client.get(first["url"]).text
    give(client, sample.FRACTURE, 71, examination=first["examination"])
    work_off()
    page = client.get(first["url"]).text
    assert "Your reading first" in page and "Fracture suspected" not in page


def test_pictures_of_one_dicom_study_find_each_other_with_the_patients_number(
    client: Any, store: Any, work_off: Any
) -> None:
    for seed in (80, 81):
        data = dicom(sample.forearm(sample.NONE, seed), StudyInstanceUID="1.2.3", PatientID="H 4711")
        send(client, (f"{seed}.dcm", data))
    work_off()
    (only,) = store.records.history(1, 9).examinations
    assert len(only.images) == 2 and only.patient_label == "H 4711"


def test_a_site_that_wants_nothing_of_the_patient_gets_nothing(
    client: Any, store: Any, people: Any, work_off: Any
) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, "/settings/", label_from_file="no", idle_minutes="10")
    data = dicom(sample.forearm(sample.NONE, 90), StudyInstanceUID="1.2.3", PatientID="H 4711")
    send(client, ("90.dcm", data))
    work_off()
    assert store.records.history(1, 9).examinations[0].patient_label == ""


def test_a_picture_refused_for_its_body_part_is_read_again_when_somebody_says_otherwise(
    client: Any, store: Any, work_off_forearms: Any
) -> None:
    first = give(client, sample.FRACTURE, 100, body_part="chest")
    work_off_forearms()
    page = client.get(first["url"]).text
    assert "a part of the body that this box was not made for" in page
    assert "The picture is said to show: chest." in page
    image = store.records.examination(first["examination"]).images[0].id
    path = f"/examinations/{first['examination']}/images/{image}/correct"
    assert post(client, path, body_part="forearm").status_code == 303
    assert "Still working" in client.get(first["url"]).text
    work_off_forearms()
    assert "Fracture suspected" in client.get(first["url"]).text
    before = store.records.examination(first["examination"]).images[0].findings_json
    assert before is not None
    post(client, path, body_part="chest")
    work_off_forearms()
    assert store.records.examination(first["examination"]).images[0].findings_json == before
    assert [entry.action for entry in store.log.page(1, 9).entries].count("facts_corrected") == 1


def test_a_refused_picture_that_was_removed_is_not_read_again(
    client: Any, store: Any, work_off_forearms: Any
) -> None:
    first = give(client, sample.FRACTURE, 101, body_part="chest")
    work_off_forearms()
    image = store.records.examination(first["examination"]).images[0]
    with store.database.write() as session:
        session.execute(text("UPDATE images SET removed_utc = '2026-01-01 00:00:00'"))
    assert "Read it again" not in client.get(first["url"]).text
    post(client, f"/examinations/{first['examination']}/images/{image.id}/correct", body_part="forearm")
    kept = store.records.examination(first["examination"]).images[0]
    assert (kept.state, kept.findings_json) == (image.state, image.findings_json)
