"""Second readings, outcomes, and the box's answer that waits for one's own, through Flask's client."""

from __future__ import annotations

import html
import io
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from device_app.access.roles import Role
from device_app.basis import basis
from device_app.readings import Place
from device_app.store.database import now_utc
from device_app.store.records import Upload
from device_app.store.removal import Removal
from device_app.worker import read_picture
from tests.device_app import sample
from tests.device_app.views.test_access import post, public_id, sign_in
from tests.device_app.views.test_screens import send

ANSWER = "Fracture suspected"


@pytest.fixture
def page(client: FlaskClient, work_off: Any) -> str:
    """The address of an examination whose answer is "fracture"."""
    address = str(send(client, ("a.png", sample.picture(sample.FRACTURE)), label="P 1").headers["Location"])
    work_off()
    return address


def judge(client: FlaskClient, page: str, what: str, **form: str) -> Any:
    """As the page's own form does it."""
    return post(client, f"{page}{what}", basis=basis_of(client, page), **form)


def basis_of(client: FlaskClient, page: str) -> str:
    """What a form of the page says that a judgement rests on; "" where it has no form."""
    found = re.search(r'name="basis" value="(\w+)"', client.get(page).text)
    return found[1] if found else ""


def own_first(client: FlaskClient) -> None:
    site_decides(client, own_read_first=True)


def site_decides(client: FlaskClient, **settings: bool) -> None:
    client.application.extensions["ulna-access"].settings.change("box", **settings)


def test_a_reader_says_what_she_thinks_and_it_stands_below_the_answer(client, people, page) -> None:
    sign_in(client, people, Role.READER)
    assert judge(client, page, "second", judgement="none", note="old <b>scar").status_code == 303
    text = client.get(page).text
    assert ANSWER in text and "Second reading: No fracture" in text and "old &lt;b&gt;scar" in text
    assert "<bdi>reader</bdi>" in text


def test_nothing_is_overwritten(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    for judgement in ("none", "fracture"):
        judge(client, page, "second", judgement=judgement)
    judge(client, page, "outcome", judgement="fracture")
    text = client.get(page).text
    assert (
        text.index("Second reading: No fracture")
        < text.index("Second reading: Fracture")
        < text.index("In the end: Fracture")
    )
    assert [str(said.judgement) for said in store.readings.all()] == ["none", "fracture", "fracture"]


@pytest.mark.parametrize("what", ["second", "outcome"])
@pytest.mark.parametrize("role", [None, Role.USER])
def test_nobody_but_a_reader_judges(client, people, page, store, what: str, role: Role | None) -> None:
    if role is not None:
        sign_in(client, people, role)
    assert judge(client, page, what, judgement="none").status_code in (401, 403)
    assert not store.readings.all() and "Say what you think of it" not in client.get(page).text


@pytest.mark.parametrize(
    ("what", "form"),
    [
        ("second", {}),
        ("second", {"judgement": "broken"}),
        ("outcome", {"judgement": "doubt"}),
        ("own", {"judgement": ""}),
    ],
)
def test_what_cannot_be_said_is_not_stored(
    client, people, page, store, what: str, form: dict[str, str]
) -> None:
    sign_in(client, people, Role.READER)
    answer = judge(client, page, what, **form)
    assert answer.status_code == 400 and "This reading was not stored" in answer.text
    assert not store.readings.all()


def test_the_answer_is_nowhere_until_ones_own_is_given(client, people, page) -> None:
    own_first(client)
    assert client.get(page).status_code == 303  # whoever reads has a name
    sign_in(client, people, Role.ADMINISTRATOR)
    text = client.get(page).text
    assert "Your reading first" in text and 'class="box"' not in text
    for told in (ANSWER, "Keep the injured part still", "heat.png", "result-fracture", "boxes-fracture"):
        assert told not in text, told
    history = client.get("/history").text
    assert ANSWER not in history and "row-fracture" not in history and "Your reading first" in history
    state = client.get(f"{page}state", headers={"Accept": "application/json"}).json
    assert "fracture" not in str(state) and "verdict" not in client.get("/log/").text
    heat = re.search(r'"([^"]+)/screen.png"', text)
    assert heat is not None and client.get(f"{heat[1]}/heat.png").status_code == 404
    assert client.get(f"{heat[1]}/screen.png").status_code == 200


def test_ones_own_reading_brings_the_answer_and_is_kept_with_it(client, people, page, store) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    assert judge(client, page, "own", judgement="none").status_code == 303
    text = client.get(page).text
    assert ANSWER in text and "Before the box's answer: No fracture" in text.replace("&#39;", "'")
    (said,) = store.readings.all()
    told = (str(said.kind), str(said.judgement), said.box_verdict, said.actor)
    assert told == ("own", "none", "fracture", public_id(people, "reader"))
    assert judge(client, page, "own", judgement="fracture").status_code == 400


@pytest.mark.parametrize("what", ["second", "outcome"])
def test_nothing_else_is_said_before_ones_own(client, people, page, store, what: str) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    assert judge(client, page, what, judgement="none").status_code == 400
    assert not store.readings.all() and ANSWER not in client.get(page).text


@pytest.mark.parametrize("what", ["own", "second", "outcome"])
def test_nothing_is_said_before_the_box_has_read_it(client, people, work_off, store, what: str) -> None:
    sign_in(client, people, Role.READER)
    address = send(client, ("b.png", sample.picture(sample.FRACTURE, 5))).headers["Location"]
    assert "Say what you think of it" not in client.get(address).text
    now = basis(store.records.history(1, 9).examinations[0], hidden=False)
    assert post(client, f"{address}{what}", judgement="fracture", basis=now).status_code == 400
    assert not store.readings.all()


def test_an_answer_that_was_seen_has_no_own_reading_before_it(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    assert judge(client, page, "own", judgement="fracture").status_code == 400
    assert not store.readings.all()


def test_each_person_reads_before_the_box_answers_her(client, people, page) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    judge(client, page, "own", judgement="fracture")
    assert ANSWER in client.get(page).text
    post(client, "/sign-in/out")
    sign_in(client, people, Role.USER)
    assert ANSWER not in client.get(page).text


def test_what_cannot_be_read_is_said_at_once(client, people, work_off) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    address = send(client, ("a.png", b"no picture")).headers["Location"]
    assert "Your reading first" not in client.get(address).text
    work_off()
    text = client.get(address).text
    assert "Cannot read this picture" in text and "Your reading first" not in text


def test_an_earlier_picture_is_compared_without_its_answer_too(client, people, page, work_off) -> None:
    later = send(client, ("b.png", sample.picture(sample.NONE, 7)), label="P 1").headers["Location"]
    work_off()
    own_first(client)
    sign_in(client, people, Role.USER)
    judge(client, later, "own", judgement="none")
    text = client.get(later).text
    assert "No fracture found" in text and ANSWER not in text


def test_the_figures_are_of_what_was_said(client, people, page, monkeypatch) -> None:
    monkeypatch.setattr("device_app.agreement.RENEWED_AFTER", 1)
    own_first(client)
    sign_in(client, people, Role.READER)
    judge(client, page, "own", judgement="none")
    judge(client, page, "second", judgement="fracture")
    judge(client, page, "outcome", judgement="fracture")
    text = client.get("/agreement").text
    assert "0 of 1: 0 %" in text and "nothing yet" in text
    site_decides(client, own_read_first=False)
    assert client.get("/agreement").text.count("1 of 1: 100 %") == 2


def test_the_figures_do_not_tell_another_reader_what_the_box_said(client, people, page) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    before = figures_of(client)
    judge(client, page, "own", judgement="none")
    assert figures_of(client) == before and "after every 20 own readings" in client.get("/agreement").text
    site_decides(client, own_read_first=False)
    assert figures_of(client) != before


def figures_of(client: FlaskClient) -> list[str]:
    return re.findall(r"<dd>(.*?)</dd>", client.get("/agreement").text)


def test_the_figures_are_a_readers(client, people) -> None:
    assert client.get("/agreement").status_code == 303
    sign_in(client, people, Role.USER)
    assert client.get("/agreement").status_code == 403


def row(image: int, *corners: float) -> dict[str, float]:
    return {"image_id": image, **dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), corners, strict=True))}


def image_of(store: Any, number: int = 0) -> int:
    return int(store.records.history(1, 9).examinations[number].images[0].id)


def test_agreeing_sends_the_verdict_and_the_places_that_the_page_shows(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    form = re.search(r'<section class="agree".*?</form>', client.get(page).text, re.DOTALL)
    assert form is not None
    sent = {
        name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])
    }
    assert client.post(f"{page}second", data=sent).status_code == 303
    (said,) = store.readings.all()
    answer = json.loads(store.records.history(1, 9).examinations[0].images[0].findings_json)
    (box,) = answer["boxes"]
    assert (str(said.judgement), said.box_verdict) == ("fracture", "fracture")
    assert said.places == (
        Place(image_of(store), *(box[name] for name in ("x0_px", "y0_px", "x1_px", "y1_px"))),
    )
    text = client.get(page).text
    assert "You agree with the box." in text and "I agree" not in text and "As the box" in text


def test_who_thinks_otherwise_afterwards_may_agree_again(client, people, page) -> None:
    sign_in(client, people, Role.READER)
    judge(client, page, "second", judgement="none")
    text = client.get(page).text
    assert "Unlike the box" in text and "I agree: Fracture" in text and "You agree with the box." not in text


def test_nobody_agrees_with_a_box_that_has_no_answer(client, people, work_off) -> None:
    sign_in(client, people, Role.READER)
    address = send(client, ("a.png", b"no picture")).headers["Location"]
    work_off()
    text = client.get(address).text
    assert "Say what you think of it" in text and "I agree" not in text and "I do not agree" not in text


def test_places_stand_in_words_and_for_the_picture_with_who_marked_them(client, people, page, store) -> None:
    sign_in(client, people, Role.READER)
    places = [row(image_of(store), 10, 20, 110, 100), row(image_of(store), 300, 400, 350.5, 470)]
    judge(client, page, "second", judgement="doubt", places=json.dumps(places))
    post(client, "/sign-in/out")
    sign_in(client, people, Role.ADMINISTRATOR)
    text = client.get(page).text
    assert "Place 1: upper left, 100 x 80 px" in text and "Place 2: lower right, 50 x 70 px" in text
    shown = re.search(r"data-said-places='([^']+)' data-said-name=\"([^\"]+)\"", text)
    assert shown is not None and json.loads(html.unescape(shown[1])) == places and shown[2] == "reader"


@pytest.mark.parametrize(
    ("judgement", "corners"),
    [
        ("fracture", (0, 0, 401, 5)),
        ("fracture", (0, 0, 5, 520.5)),
        ("fracture", (-1, 0, 5, 5)),
        ("fracture", (5, 5, 5, 9)),
        ("none", (0, 0, 5, 5)),
        ("unreadable", (0, 0, 5, 5)),
    ],
)
def test_a_place_outside_the_picture_or_beside_the_answer_is_not_stored(
    client, people, page, store, judgement: str, corners: tuple[float, ...]
) -> None:
    sign_in(client, people, Role.READER)
    places = json.dumps([row(image_of(store), *corners)])
    answer = judge(client, page, "second", judgement=judgement, places=places)
    assert answer.status_code == 400 and "a marked place does not belong" in answer.text
    assert not store.readings.all()


@pytest.mark.parametrize("places", ["oops", "{}", "[" * 9000, "[1]", json.dumps([row(1, 0, 0, 5, 5)] * 21)])
def test_places_that_cannot_be_read_are_not_stored(client, people, page, store, places: str) -> None:
    sign_in(client, people, Role.READER)
    assert judge(client, page, "second", judgement="fracture", places=places).status_code == 400
    assert not store.readings.all()


@pytest.mark.parametrize("what", ["own", "second", "outcome"])
def test_a_place_on_another_examinations_picture_is_not_stored(
    client, people, page, work_off, store, what: str
) -> None:
    send(client, ("b.png", sample.picture(sample.FRACTURE, 8)))
    work_off()
    if what == "own":
        own_first(client)
    sign_in(client, people, Role.READER)
    other = image_of(store, 0)
    assert other not in [image.id for image in store.records.examination(page.split("/")[-2]).images]
    answer = judge(client, page, what, judgement="fracture", places=json.dumps([row(other, 0, 0, 5, 5)]))
    assert answer.status_code == 400 and not store.readings.all()


def test_ones_own_places_are_kept_and_the_boxs_are_not_on_that_page(client, people, page, store) -> None:
    own_first(client)
    sign_in(client, people, Role.USER)
    text = client.get(page).text
    assert "data-places" in text and "data-box='[]'" in text and "take-over" not in text
    assert "data-said-places" not in text and "I agree" not in text
    places = json.dumps([row(image_of(store), 1, 2, 30, 40)])
    assert judge(client, page, "own", judgement="doubt", places=places).status_code == 303
    assert store.readings.all()[0].places == (Place(image_of(store), 1, 2, 30, 40),)


def add_view(store: Any, page: str, gap: float, seed: int) -> None:
    """Another picture of the same examination."""
    upload = Upload(f"{seed}.png", examination=page.split("/")[-2])
    store.records.receive(io.BytesIO(sample.picture(gap, seed)), upload)


@pytest.mark.parametrize("what", ["own", "second", "outcome"])
def test_what_was_said_of_one_picture_is_not_stored_as_said_of_two(
    client, people, page, work_off, store, what: str
) -> None:
    if what == "own":
        own_first(client)
    sign_in(client, people, Role.READER)
    form = basis_of(client, page)
    add_view(store, page, sample.FRACTURE, 21)
    work_off()
    answer = post(client, f"{page}{what}", judgement="none", note="old scar", basis=form)
    assert answer.status_code == 409 and not store.readings.all()
    assert "have changed meanwhile" in answer.text and f'href="{page}"' in answer.text
    assert "No fracture" in answer.text and "old scar" in answer.text, "what was said is gone"
    assert judge(client, page, what, judgement="none").status_code == 303
    assert store.readings.all()[0].image_ids == (1, 2)


@pytest.mark.parametrize("what", ["second", "outcome"])
def test_once_the_picture_is_gone_no_remark_is_asked_for_nor_stored(
    client, people, page, store, what: str
) -> None:
    sign_in(client, people, Role.READER)
    assert 'name="note"' in client.get(page).text
    assert judge(client, page, what, judgement="none", note="old scar").status_code == 303
    image = store.records.history(1, 1).examinations[0].images[0]
    assert Removal(store.database, store.files).remove([image.id], now_utc()) == 1
    text = client.get(page).text
    assert 'name="note"' not in text and "old scar" not in text and "The picture was removed on" in text
    answer = judge(client, page, what, judgement="none", note="as Dr Otieno says")
    assert answer.status_code == 409 and "as Dr Otieno says" in answer.text, "what was said is gone"
    assert judge(client, page, what, judgement="fracture").status_code == 303
    assert [(said.judgement, said.note) for said in store.readings.all()] == [("none", ""), ("fracture", "")]


def test_a_judgement_of_an_answer_that_is_another_one_now_is_not_stored(
    client, people, page, work_off, store
) -> None:
    sign_in(client, people, Role.READER)
    form = basis_of(client, page)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE results SET findings_json = '{}', verdict = 'none'")
    assert post(client, f"{page}second", judgement="fracture", basis=form).status_code == 409
    assert post(client, f"{page}second", judgement="fracture").status_code == 409, "a form that says nothing"
    assert not store.readings.all()


def test_a_picture_put_in_place_of_one_that_was_read_is_read_before_its_answer_is_shown(
    client, people, work_off, store
) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    whole, wrong, other = (
        str(send(client, (f"{seed}.png", sample.picture(gap, seed)), label="P 1").headers["Location"])
        for seed, gap in ((31, sample.NONE), (32, sample.NONE), (33, sample.FRACTURE))
    )
    work_off()
    post(client, f"{whole}views", other=wrong.split("/")[-2])
    assert judge(client, whole, "own", judgement="none").status_code == 303
    assert "No fracture found" in client.get(whole).text
    post(client, f"{whole}images/2/part")
    assert "No fracture found" in client.get(whole).text, "what is left was read"
    post(client, f"{whole}views", other=other.split("/")[-2])
    text = client.get(whole).text
    assert "Your reading first" in text and ANSWER not in text
    assert client.get(f"{whole}images/3/heat.png").status_code == 404
    assert client.get(f"{whole}report/").status_code == 403
    assert judge(client, whole, "own", judgement="doubt").status_code == 303
    assert [said.image_ids for said in store.readings.all()] == [(1, 2), (1, 3)]


@pytest.mark.parametrize("gap", [sample.NONE, sample.DOUBT, sample.FRACTURE])
def test_a_view_that_is_awaited_tells_nothing_of_one_that_was_answered(
    client, people, store, detector, gap: float
) -> None:
    own_first(client)
    sign_in(client, people, Role.READER)
    page = str(send(client, ("a.png", sample.picture(gap, 41))).headers["Location"])
    add_view(store, page, sample.NONE, 42)
    claim = store.queue.claim("here")
    store.queue.complete(claim, read_picture(claim, store, detector))
    state = client.get(f"{page}state", headers={"Accept": "application/json"}).json
    assert (state["state"], state["place"]) == ("hidden", "This picture is next.")
    assert re.search(r'<li id="row-[^"]+" data-renew>', client.get("/history").text)
    text = client.get(page).text
    assert "Still working" in text and 'name="judgement"' not in text, "nothing is said of a picture unseen"
    for told in ("No fracture found", "Doubt: fracture possible", ANSWER):
        assert told not in text
