"""The report through Flask's client: the page to print and the PDF, with results that the real model gave."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app import create_app
from device_app.access.roles import Role
from device_app.readings import Draft, Judgement, Kind, Place
from device_app.report.pdf import PdfLimits, PdfMaker
from device_app.report.samples import SAMPLES
from device_app.status import Phase, ReaderStatus
from device_app.store.log import Action
from device_app.store.models import Image
from device_app.store.records import Upload
from device_app.views.report import MAKER
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.report.longest import longest_examination
from tests.device_app.views.conftest import PINS
from tests.device_app.views.test_access import public_id, sign_in

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("weasyprint")

NOTICE = "AI result, not a diagnosis"
OF_NONE = "no fracture"
READY = ReaderStatus(Phase.READY, engine="onnxruntime-fp32", bundle_sha256="ab" * 32)
BROKEN = ReaderStatus(Phase.CANNOT_ANSWER, reason="the bundle is not signed", hint="install another")
Put = Callable[..., str]


@pytest.fixture
def client(config, store) -> FlaskClient:
    return create_app(config, FixedReader(READY)).test_client()


@pytest.fixture
def put(store, work_off) -> Put:
    """Take a picture in and have it read; the public id of its examination."""

    def take(data: bytes, read: bool = True, **more: Any) -> str:
        found = store.records.receive(io.BytesIO(data), Upload("mwangi.png", **more)).public_id
        if read:
            work_off()
        return str(found)

    return take


def page_of(client: FlaskClient, ident: str) -> str:
    """The sheet's HTML on the page to print."""
    answer = client.get(f"/examinations/{ident}/report/")
    assert answer.status_code == 200
    return answer.text[answer.text.index("<article") : answer.text.index("</article>")]


def pdf_of(client: FlaskClient, ident: str) -> Any:
    answer = client.get(f"/examinations/{ident}/report.pdf")
    assert answer.status_code == 200 and answer.mimetype == "application/pdf", answer.text
    return pypdf.PdfReader(io.BytesIO(answer.data))


def text_of(pdf: Any) -> str:
    """The text of its only page, in single spaces."""
    assert len(pdf.pages) == 1
    return " ".join(pdf.pages[0].extract_text().split())


def say(store, ident: str, kind: Kind, judgement: Judgement, note: str = "") -> None:
    store.readings.add(ident, Draft(kind, judgement, note=note), "kiosk", lambda _found: "")


@pytest.mark.parametrize(
    ("gap", "headline", "step"),
    [
        (sample.NONE, "No fracture found", "If pain persists, take a new picture"),
        (sample.DOUBT, "Doubt: fracture possible", "Treat the injury as broken for now."),
        (sample.FRACTURE, "Fracture suspected", "Keep the injured part still."),
    ],
)
def test_paper_and_pdf_say_the_answer_what_to_do_and_what_it_rests_on(
    client, put, gap: float, headline: str, step: str
) -> None:
    facts = '{"age": "41", "body_part": "forearm", "view": "lateral"}'
    ident = put(sample.picture(gap), patient_label="P 4711", facts_json=facts)
    told = ("P 4711", "forearm", "lateral", "41", "gap-finder 1.0.0", "onnxruntime fp32", "15.0 / 70.0")
    for text in (page_of(client, ident), text_of(pdf_of(client, ident))):
        assert text.count(NOTICE) == 2 and headline in text and step in text
        assert "It is not the chance that this patient has one." in text
        assert all(word in text for word in told)
        assert "Date and signature" in text and "by Somebody at the kiosk" in text


@pytest.mark.parametrize(
    ("gap", "drawn", "dotted", "legend"),
    [
        (sample.NONE, 0, False, ""),
        (sample.DOUBT, 2, True, "Dotted frame: doubtful place"),
        (sample.FRACTURE, 2, False, "Solid frame: suspected place"),
    ],
)
def test_places_are_frames_that_differ_without_colour(
    client, put, gap: float, drawn: int, dotted: bool, legend: str
) -> None:
    text = page_of(client, put(sample.picture(gap)))
    svg = text[text.index('<svg class="r-shot"') :].partition("</svg>")[0]
    assert svg.count("<rect") == drawn and ("stroke-dasharray" in svg) is dotted
    assert legend in text and ("frame:" in text) is bool(legend)


def test_a_picture_that_cannot_be_read_says_so_and_never_a_word_of_no_fracture(client, put) -> None:
    ident = put(b"hello", patient_label="P 1")
    for text in (page_of(client, ident), text_of(pdf_of(client, ident))):
        assert "Cannot read this picture" in text and OF_NONE not in text.lower()
        assert "This is not a result. Nothing is known about a fracture." in text
        assert "The file is damaged or is not a picture." in text and "There is no picture to show." in text


@pytest.mark.parametrize(
    ("reader", "headline"), [(READY, "Still working"), (BROKEN, "Waiting: the box cannot answer")]
)
def test_a_picture_that_is_not_read_yet_says_so_and_never_a_word_of_no_fracture(
    config, put, reader: ReaderStatus, headline: str
) -> None:
    client = create_app(config, FixedReader(reader)).test_client()
    ident = put(sample.picture(sample.NONE), read=False)
    for text in (page_of(client, ident), text_of(pdf_of(client, ident))):
        assert headline in text and "There is no result" in text and OF_NONE not in text.lower()


def test_an_answer_of_before_is_marked_while_the_box_cannot_answer(client, config, put) -> None:
    ident, mark = put(sample.picture(sample.FRACTURE)), "The box itself cannot answer now."
    broken = create_app(config, FixedReader(BROKEN)).test_client()
    assert mark in text_of(pdf_of(broken, ident)) and mark in page_of(broken, ident)
    assert mark not in page_of(client, ident)


def test_one_view_unread_among_others_stands_in_the_headline(client, put) -> None:
    ident = put(sample.picture(sample.FRACTURE, 1))
    put(b"hello", examination=ident)
    headline = "Fracture suspected. 1 of 2 views has no answer"
    assert f">{headline}</h1>" in page_of(client, ident) and headline in text_of(pdf_of(client, ident))


def test_one_view_unread_beside_one_without_a_finding_is_not_no_fracture(client, put) -> None:
    ident = put(sample.picture(sample.NONE, 1))
    put(b"hello", examination=ident)
    heading = re.search("<h1[^>]*>(.*?)</h1>", page_of(client, ident))
    assert heading is not None and heading[1].endswith("1 of 2 views has no answer")
    assert OF_NONE not in heading[1].lower()


def test_eight_views_are_one_page_with_every_answer(client, put) -> None:
    ident = put(sample.picture(sample.NONE, 10))
    for seed in range(11, 18):
        put(sample.picture(sample.FRACTURE if seed == 17 else sample.NONE, seed), examination=ident)
    text = text_of(pdf_of(client, ident))
    assert "8: Fracture suspected" in text and "Views 4, 5, 6, 7: No fracture found" in text
    assert "Pictures of 4 views, their answers are above." in text


def test_four_views_and_the_longest_texts_are_one_page_and_say_what_is_not_on_it(
    client, store, work_off
) -> None:
    client.application.extensions["ulna-access"].settings.change("box", clinic="M" * 80)
    text = text_of(pdf_of(client, longest_examination(store, work_off)))
    for number, said in enumerate(("Fracture suspected", "Doubt", "Cannot read", "No fracture found"), 1):
        assert f"{number}: {said}" in text
    assert "In the end: Fracture" in text and text.count(NOTICE) == 2
    assert "Not on this page for want of room" in text and "Readings of people:" in text


@pytest.mark.parametrize(
    "label",
    ["<script>alert(1)</script>", "\u202e\u2066right to left", "W" * 80, "{{ 7 * 7 }}", "a\"'&<b>", "ÄÖ ñ ç"],
)
def test_hostile_labels_and_notes_are_text(client, store, put, label: str) -> None:
    ident = put(sample.picture(sample.DOUBT), patient_label=label)
    say(store, ident, Kind.SECOND, Judgement.DOUBT, label)
    html, pdf = page_of(client, ident), pdf_of(client, ident)
    assert "<script" not in html and "<b>" not in html and "\u202e" not in html
    assert "\u202e" not in text_of(pdf)
    shown = "".join(char for char in label if char.isprintable())
    assert text_of(pdf).replace(" ", "").count(shown.replace(" ", "")) == 2


def test_the_pdf_names_no_patient_outside_its_page_and_has_no_link(client, put) -> None:
    ident = put(sample.picture(sample.NONE), patient_label="Mwangi")
    answer = client.get(f"/examinations/{ident}/report.pdf")
    name = re.fullmatch(
        rf'attachment; filename="(ulna-report-\d{{4}}-\d\d-\d\d-{re.escape(ident[:6])})\.pdf"',
        answer.headers["Content-Disposition"],
    )
    pdf = pypdf.PdfReader(io.BytesIO(answer.data))
    assert name is not None and pdf.metadata.title == name[1]
    assert "wangi" not in str(dict(pdf.metadata)) and answer.headers["Cache-Control"] == "no-store"
    assert not any(key in pdf.pages[0] for key in ("/Annots", "/AA"))
    assert b"/URI" not in answer.data and b"http" not in answer.data and b"/JavaScript" not in answer.data


def test_each_pdf_is_logged_with_the_digest_of_its_html_and_a_look_at_the_page_is_not(
    client, store, put, monkeypatch
) -> None:
    ident, jobs = put(sample.picture(sample.NONE)), []
    make = PdfMaker.make
    monkeypatch.setattr(PdfMaker, "make", lambda self, job: jobs.append(job) or make(self, job))
    page_of(client, ident)
    for _ in range(2):
        answer = client.get(f"/examinations/{ident}/report.pdf")
    entries = [one.entry for one in store.log.written() if one.entry.action == Action.REPORTED]
    assert len(entries) == 2 and {(one.actor, one.subject) for one in entries} == {("kiosk", ident)}
    assert entries[-1].detail == {
        "html_sha256": hashlib.sha256(jobs[-1].pages[0].encode()).hexdigest(),
        "pdf_sha256": hashlib.sha256(answer.data).hexdigest(),
    }


def test_asking_for_no_more_than_the_head_of_a_pdf_makes_none(client, store, put, monkeypatch) -> None:
    ident, jobs = put(sample.picture(sample.NONE)), []
    monkeypatch.setattr(PdfMaker, "make", lambda _, job: jobs.append(job))
    head = client.head(f"/examinations/{ident}/report.pdf")
    assert (head.status_code, head.mimetype, jobs) == (200, "application/pdf", [])
    assert Action.REPORTED not in [one.entry.action for one in store.log.written()]


def test_paper_and_pdf_are_the_same_sheet(client, put, monkeypatch) -> None:
    ident, jobs = put(sample.picture(sample.FRACTURE)), []
    make = PdfMaker.make
    monkeypatch.setattr(PdfMaker, "make", lambda self, job: jobs.append(job) or make(self, job))
    pdf_of(client, ident)
    without_time = lambda text: re.sub(r"Printed .*?<", "<", text)  # noqa: E731
    assert without_time(page_of(client, ident)) in without_time(jobs[0].pages[0])


@pytest.mark.parametrize(
    "limits",
    [PdfLimits(wall_s=0.05), PdfLimits(memory_bytes=1 << 20)],
    ids=["killed", "out of memory"],
)
def test_a_child_over_its_limits_ends_in_a_plain_page_and_no_entry(client, store, put, limits) -> None:
    ident = put(sample.picture(sample.FRACTURE))
    client.application.extensions[MAKER] = PdfMaker(limits)
    answer = client.get(f"/examinations/{ident}/report.pdf")
    assert answer.status_code == 503 and answer.mimetype == "text/html"
    assert "print it from the browser instead" in answer.text
    assert f'href="/examinations/{ident}/report/"' in answer.text
    assert not [one for one in store.log.written() if one.entry.action == Action.REPORTED]


def test_a_language_with_letters_that_no_font_has_is_a_plain_page(client, put, monkeypatch) -> None:
    monkeypatch.setitem(SAMPLES, "en", "\U0010fffd")
    answer = client.get(f"/examinations/{put(sample.picture(sample.NONE))}/report.pdf")
    assert answer.status_code == 503 and "no letters for all words of this report" in answer.text


def test_there_is_no_report_for_whoever_has_not_read_the_picture_herself(
    client, store, people, put, work_off
) -> None:
    client.application.extensions["ulna-access"].settings.change("box", own_read_first=True)
    ident = put(sample.picture(sample.FRACTURE))
    sign_in(client, people, Role.USER)
    for path in ("report/", "report.pdf"):
        answer = client.get(f"/examinations/{ident}/{path}")
        assert answer.status_code == 403 and "say first what you see" in answer.text
        assert "Fracture suspected" not in answer.text and f"/examinations/{ident}/" in answer.text
    draft = Draft(Kind.OWN, Judgement.NONE)
    store.readings.add(ident, draft, public_id(people, "user"), lambda _found: "fracture")
    text = text_of(pdf_of(client, ident))
    assert "Before the box's answer: No fracture" in text and "Printed" in text and "by user" in text
    assert PINS[Role.USER] not in text


def test_a_report_is_closed_when_a_pin_is_asked_for_and_absent_for_no_examination(client, put) -> None:
    assert client.get("/examinations/nothing/report/").status_code == 404
    assert client.get("/examinations/nothing/report.pdf").status_code == 404
    ident = put(sample.picture(sample.NONE))
    client.application.extensions["ulna-access"].settings.change("box", sign_in_to_use=True)
    for path in ("report/", "report.pdf"):
        assert client.get(f"/examinations/{ident}/{path}").status_code == 303


def test_the_result_page_leads_to_the_report_once_there_is_an_answer(client, put, work_off) -> None:
    ident = put(sample.picture(sample.NONE), read=False)
    link = f'href="/examinations/{ident}/report/"'
    assert link not in client.get(f"/examinations/{ident}/").text
    work_off()
    assert link in client.get(f"/examinations/{ident}/").text


def test_a_photograph_of_a_film_is_called_one(client, put) -> None:
    ident = put(sample.picture(sample.NONE), photographed=True)
    assert "Photograph of a film" in page_of(client, ident)
    assert "Photograph of a film" not in page_of(client, put(sample.picture(sample.NONE, 5)))


def test_places_that_a_person_marked_are_told_of_and_not_drawn_as_the_boxs(client, store, put) -> None:
    ident = put(sample.picture(sample.NONE))
    examination = store.records.examination(ident)
    places = (Place(examination.images[0].id, 10.0, 10.0, 50.0, 50.0),)
    draft = Draft(Kind.SECOND, Judgement.FRACTURE, places)
    store.readings.add(ident, draft, "kiosk", lambda _found: "none")
    text = page_of(client, ident)
    assert "Second reading: Fracture" in text and "marked places, to be seen on the screen: 1" in text
    assert "<rect x" not in text


def test_a_picture_that_was_removed_is_told_of_and_its_answer_stays(client, store, put) -> None:
    ident = put(sample.picture(sample.FRACTURE))
    image = store.records.examination(ident).images[0]
    store.files.derived_path(image.sha256, "screen").unlink()
    with store.database.write() as session:
        session.get(Image, image.id).removed_utc = datetime(2026, 3, 1, 9)
    text = text_of(pdf_of(client, ident))
    assert "Fracture suspected" in text and "The picture was removed from the box on 1 Mar 2026" in text


def test_an_old_address_of_joined_views_leads_to_the_report_of_all(client, store, put) -> None:
    first, second = put(sample.picture(sample.NONE, 31)), put(sample.picture(sample.FRACTURE, 32))
    store.grouping.join(first, second, "kiosk")
    for ident in (first, second):
        assert "1: No fracture found" in text_of(pdf_of(client, ident))
        assert "2: Fracture suspected" in page_of(client, ident)
