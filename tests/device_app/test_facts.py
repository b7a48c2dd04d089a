"""Facts of the patient on a kiosk whose model uses them: asked, stored, read with, told; never required."""

from __future__ import annotations

import dataclasses
import io
import re
import sqlite3

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine

from device_app import create_app, facts
from device_app.status import Phase, ReaderStatus
from device_app.store import open_store, prepare_store
from device_app.store.migrate import _config, migrate
from device_app.worker import read_picture
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.detector import Detector
from runtime.metadata import FIELDS, MetadataSpec, PatientFacts
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.facts import SPEC, told

ALONE = ReaderStatus(Phase.READY, engine="onnxruntime-fp32", bundle_sha256="ab" * 32)
ASKING = dataclasses.replace(ALONE, asks=facts.spec_text(SPEC))
STARTING = ReaderStatus(Phase.STARTING)
SAID = {"age": "7", "sex": "female", "body_part": "hand", "view": "lateral"}


@pytest.fixture
def asking(config, store):
    return create_app(config, FixedReader(ASKING)).test_client()


@pytest.fixture
def informed(detector):
    """The kiosk's model, moved by every fact that it is told."""
    spec = dataclasses.replace(detector.spec, metadata=SPEC)
    with Detector(OrtBackend(ModelFiles(told(sample.model_bytes()))), spec) as opened:
        yield opened


def send(client, said, script=False, data=None):
    page = client.get("/").text
    form = {
        "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1],
        "picture": [(io.BytesIO(data or sample.picture(sample.DOUBT)), "a.png")],
        **said,
    }
    headers = {"Accept": "application/json"} if script else {}
    return client.post("/pictures", data=form, headers=headers, content_type="multipart/form-data")


def read_result(client, store, detector, said):
    """The result page of a picture sent with these facts."""
    address = send(client, said).headers["Location"]
    claim = store.queue.claim("here")
    assert store.queue.complete(claim, read_picture(claim, store, detector))
    return client.get(address).text


def test_the_form_asks_what_the_model_uses_and_requires_none_of_it(asking):
    page = asking.get("/").text
    for name in FIELDS:
        assert f'name="{name}"' in page
    for word in ("hand", "knee", "frontal", "lateral", "female", "male"):
        assert f'value="{word}"' in page
    assert "required" not in page


def test_for_a_model_of_the_picture_alone_the_form_asks_what_it_shows(config, store):
    page = create_app(config, FixedReader(ALONE)).test_client().get("/").text
    assert 'name="body_part"' in page and 'name="view"' in page
    assert 'name="age"' not in page and 'name="sex"' not in page


def test_the_form_asks_only_the_fields_that_the_model_takes_and_what_the_picture_shows(config, store):
    status = dataclasses.replace(ASKING, asks=facts.spec_text(MetadataSpec(("sex",))))
    page = create_app(config, FixedReader(status)).test_client().get("/").text
    assert 'name="sex"' in page and 'name="age"' not in page and 'name="view"' in page


def test_words_of_a_model_that_no_picture_shows_are_chosen_from_a_list(config, store):
    spec = MetadataSpec(("body_part", "view"), ("hand", "mixed"), ("frontal", "skyline"))
    status = dataclasses.replace(ASKING, asks=facts.spec_text(spec))
    page = create_app(config, FixedReader(status)).test_client().get("/").text
    for name, word in (("body_part", "mixed"), ("view", "skyline")):
        assert f'<select id="{name}"' in page and f'<option value="{word}">' in page
    assert 'class="body"' not in page


def test_what_is_said_is_stored_with_the_picture_and_outlives_a_crash(asking, config, store):
    assert send(asking, SAID).status_code == 303
    store.queue.claim("a worker that dies")
    prepare_store(config)  # as at the next start
    reopened = open_store(config)
    claim = reopened.queue.claim("the next worker")
    reopened.close()
    assert facts.of_text(claim.facts_json) == PatientFacts(**SAID)


def test_the_result_page_tells_what_the_answer_rests_on(asking, store, informed):
    page = read_result(asking, store, informed, SAID)
    assert "The box was told: 7 years, female, hand, lateral." in page


def test_facts_move_the_kiosks_answer(asking, store, informed):
    send(asking, SAID)
    claim = store.queue.claim("here")
    with_facts = read_picture(claim, store, informed).findings_json
    without = read_picture(dataclasses.replace(claim, facts_json=""), store, informed).findings_json
    chances = [float(re.search(r'"probability": ([0-9.]+)', text)[1]) for text in (with_facts, without)]
    assert chances[0] > chances[1] + 0.05


def test_nothing_filled_in_is_an_answer_by_the_picture_alone(asking, store, informed):
    page = read_result(asking, store, informed, {})
    assert "It went by the picture alone." in page and "Cannot read" not in page


def test_a_wrong_value_is_told_and_does_not_stop_the_answer(asking, store, informed):
    page = read_result(asking, store, informed, {**SAID, "age": "<b>old</b>", "view": "skyline"})
    assert "Cannot read" not in page
    assert "The box was told: female, hand." in page
    plain = re.sub("[\u2066-\u2069]", "", page)
    assert "The age “&lt;b&gt;old&lt;/b&gt;” was not used: it must be 0 to 120 years." in plain
    assert "The view “skyline” was not used." in plain


def test_what_the_model_does_not_ask_is_not_kept(config, store):
    status = dataclasses.replace(ASKING, asks=facts.spec_text(MetadataSpec(("sex",))))
    send(create_app(config, FixedReader(status)).test_client(), SAID)
    kept = facts.of_text(store.queue.claim("here").facts_json)
    assert kept == PatientFacts(sex="female", body_part="hand", view="lateral")


def test_while_the_model_is_not_known_yet_everything_is_asked_and_kept(config, store):
    client = create_app(config, FixedReader(STARTING)).test_client()
    page = client.get("/").text
    assert all(f'name="{name}"' in page for name in FIELDS)
    assert 'value="oblique"' in page and 'value="wrist"' in page
    send(client, {**SAID, "body_part": "wrist"})
    kept = facts.of_text(store.queue.claim("here").facts_json)
    assert kept == PatientFacts(**{**SAID, "body_part": "wrist"})


def test_a_choice_is_not_remembered_by_the_browser_for_the_next_patient(asking):
    form = re.search(r'<details class="about".*?</details>', asking.get("/").text, re.DOTALL)[0]
    questions = re.findall(r"<(?:input|select)[^>]*>", form)
    assert {re.search(r'name="(\w+)"', question)[1] for question in questions} == set(FIELDS)
    assert all('autocomplete="off"' in question for question in questions)


def test_a_view_is_not_believed_of_several_pictures_sent_at_once(asking, store):
    page = asking.get("/").text
    pictures = [(io.BytesIO(sample.picture(sample.NONE, seed)), f"{seed}.png") for seed in (21, 22)]
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    asking.post(
        "/pictures",
        data={"csrf_token": token, "picture": pictures, "together": "yes", **SAID},
        content_type="multipart/form-data",
    )
    claims = [store.queue.claim(owner) for owner in ("one", "two")]
    assert [facts.of_text(claim.facts_json) for claim in claims] == [PatientFacts(**{**SAID, "view": ""})] * 2


def test_for_a_model_of_the_picture_alone_the_page_says_what_the_picture_is_said_to_show(
    config, store, work_off
):
    client = create_app(config, FixedReader(ALONE)).test_client()
    address = send(client, {**SAID, "body_part": "forearm"}).headers["Location"]
    work_off()
    page = client.get(address).text
    assert "The picture is said to show: forearm, lateral." in page and "7 years" not in page


def test_facts_said_of_a_picture_that_was_here_already_are_not_taken_and_that_is_said(asking):
    data = sample.picture(sample.NONE, seed=3)
    send(asking, SAID, data=data)
    not_taken = "What was said of the patient now was not taken."
    silent = send(asking, {}, data=data).headers["Location"]
    assert not_taken not in asking.get(silent).text
    told = send(asking, {**SAID, "age": "70"}, data=data).headers["Location"]
    assert not_taken in asking.get(told).text
    scripted = send(asking, {**SAID, "age": "70"}, script=True, data=data).get_json()["outcomes"][0]
    assert scripted["known"] and not_taken in scripted["says"]
    assert scripted["says"] in asking.get(scripted["url"]).text


@given(st.text(max_size=200))
def test_a_damaged_entry_or_report_says_nothing(text):
    found = facts.of_text(text)
    assert all(isinstance(value, str) for value in vars(found).values())
    assert facts.spec_of_text(text) is None


@given(st.builds(PatientFacts, *[st.text(alphabet=st.characters(codec="utf-8"), max_size=48)] * 4))
def test_facts_come_out_of_the_database_as_they_went_in(said):
    assert facts.of_text(facts.to_text(said)) == said


def test_a_store_from_before_facts_keeps_its_pictures_and_they_say_nothing(tmp_path):
    path = tmp_path / "kiosk.sqlite3"
    config = _config()
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with sqlite3.connect(path) as old:
        old.execute("INSERT INTO examinations VALUES (1, 'abc', '2026-01-01', 'upload', 'P 1')")
        old.execute("INSERT INTO images VALUES (1, 1, 'f00', 3, 'a.png', '2026-01-01')")
    assert migrate(path)
    with sqlite3.connect(path) as new:
        assert new.execute("SELECT sha256, facts_json FROM images").fetchall() == [("f00", "")]
