"""Consent, the look at each picture and the export, through Flask's client."""

from __future__ import annotations

import html
import io
import re
import time
import zipfile
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest
from flask.testing import FlaskClient

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.export import exports as exports_module
from device_app.export import ready_zip
from device_app.export.exports import Exports, Phase, State
from device_app.export.job import Counts
from device_app.export.target import Fault
from device_app.export.words import FAULTS
from device_app.store import Store
from device_app.store.database import now_utc
from device_app.store.log import Action
from device_app.store.removal import Removal
from device_app.views import export as view
from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.views.test_access import post, public_id, sign_in
from tests.device_app.views.test_screens import send
from tests.runtime.readers.makers import dicom

AGREES = "The patient agrees that this picture is used without her name to improve the model"


@pytest.fixture
def agreed(client: FlaskClient, store: Store, work_off: Any, people: People) -> str:
    """A picture that was read and whose patient agrees; the administrator is signed in. Its address."""
    address = sent(client, work_off)
    sign_in(client, people, Role.ADMINISTRATOR)
    assert post(client, f"{address}consent", agrees="yes").status_code == 303
    return address


def sent(client: FlaskClient, work_off: Any, seed: int = 0) -> str:
    address = send(client, (f"{seed}.png", sample.picture(sample.NONE, seed)), label="Jane Q").headers[
        "Location"
    ]
    work_off()
    return str(address)


def manager(client: FlaskClient) -> Exports:
    found = client.application.extensions["ulna-export"]
    assert isinstance(found, Exports)
    return found


def prepared(client: FlaskClient) -> str:
    """The page, once all pictures on it can be looked at."""
    client.get("/export/")
    manager(client).wait(60)
    return client.get("/export/").text


def let_go(client: FlaskClient, page: str, *leaves: str, looks: bool = True) -> Any:
    """looks: whether the browser has fetched the pictures."""
    for address in re.findall(r'src="(/export/pictures/[^"]+)"', page) if looks else ():
        assert client.get(address).status_code == 200
    shown = re.findall(r'name="shown" value="([^"]+)"', page)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    form = {"csrf_token": token[1], "shown": shown, "leaves": list(leaves), "page": "1"}
    return client.post("/export/look", data=form)


def actions(store: Store) -> list[str]:
    return [entry.action for entry in store.log.page(1, 200).entries]


@pytest.mark.parametrize("role", [None, Role.USER])
def test_who_may_not_state_consent_sees_no_button_and_changes_nothing(
    client: FlaskClient, store: Store, people: People, work_off: Any, role: Role | None
) -> None:
    address = sent(client, work_off)
    if role is not None:
        sign_in(client, people, role)
    assert AGREES not in client.get(address).text
    assert post(client, f"{address}consent", agrees="yes").status_code in (401, 403)
    assert Action.CONSENT_GIVEN not in actions(store)


@pytest.mark.parametrize("role", [Role.READER, Role.ADMINISTRATOR])
def test_consent_is_given_taken_back_and_logged(
    client: FlaskClient, store: Store, people: People, work_off: Any, role: Role
) -> None:
    address = sent(client, work_off)
    sign_in(client, people, role)
    assert AGREES in client.get(address).text
    post(client, f"{address}consent", agrees="yes")
    assert "She agrees no longer" in client.get(address).text and "Stated on" in client.get(address).text
    post(client, f"{address}consent", agrees="yes")
    post(client, f"{address}consent", agrees="no")
    assert AGREES in client.get(address).text and "She agrees no longer" not in client.get(address).text
    said = [action for action in actions(store) if action.startswith("consent")]
    assert said == [Action.CONSENT_WITHDRAWN, Action.CONSENT_GIVEN], "what changes nothing is not logged"


def test_a_statement_that_is_neither_changes_nothing(client: FlaskClient, agreed: str, store: Store) -> None:
    assert post(client, f"{agreed}consent", agrees="perhaps").status_code == 400
    assert Action.CONSENT_WITHDRAWN not in actions(store)


PAGES = ("/export/", "/export/download", "/export/pictures/1/small.png", "/export/pictures/1/large.png")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", [None, Role.USER, Role.READER])
def test_the_export_is_the_administrators(
    client: FlaskClient, people: People, path: str, role: Role | None
) -> None:
    if role is not None:
        sign_in(client, people, role)
    assert client.get(path).status_code == (303 if role is None else 403)


@pytest.mark.parametrize("path", ["/export/look", "/export/start", "/export/stop", "/export/remove"])
@pytest.mark.parametrize("role", [None, Role.READER])
def test_nobody_else_lets_anything_leave(
    client: FlaskClient, people: People, path: str, role: Role | None
) -> None:
    if role is not None:
        sign_in(client, people, role)
    assert post(client, path, to="download").status_code in (401, 403)


def test_before_anybody_agrees_the_page_says_what_to_do(client: FlaskClient, people: People) -> None:
    sign_in(client, people, Role.ADMINISTRATOR)
    page = client.get("/export/").text
    assert "No patient has agreed yet" in page and "Let them leave" not in page


def test_a_picture_is_shown_let_go_and_fetched(client: FlaskClient, agreed: str, store: Store) -> None:
    page = prepared(client)
    assert "Jane" not in page.split("<main")[1] and "1 picture whose patient agrees" in page
    number = re.search(r'name="leaves" value="(\d+)"', page)
    assert number is not None
    picture = client.get(f"/export/pictures/{number[1]}/small.png").data
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (520, 808, 3)
    assert let_go(client, page, number[1]).status_code == 303
    assert "Let them leave" in client.get("/export/").text
    assert post(client, "/export/start", to="download").status_code == 303
    manager(client).wait(60)
    done = client.get("/export/").text
    assert "1 picture is ready to be fetched" in done
    answer = client.get("/export/download")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as file:
        assert [name.split("/", 1)[1] for name in file.namelist()] == [
            "images/000001.dcm", "cases.jsonl", "labels.csv", "README.txt", "SHA256SUMS"
        ]  # fmt: skip
    answer.close()
    assert {Action.CASE_EXPORTED, Action.CASES_EXPORTED} <= set(actions(store))
    assert "It left the box without a name on" in client.get(agreed).text
    assert post(client, "/export/remove").status_code == 303
    assert client.get("/export/download").headers["Location"] == "/export/"
    assert "ready to be fetched" not in client.get("/export/").text


def test_a_picture_that_is_left_out_does_not_leave(client: FlaskClient, agreed: str) -> None:
    page = prepared(client)
    let_go(client, page)
    assert post(client, "/export/start", to="download").status_code == 409


@pytest.mark.parametrize(
    "shown", ["", "1", "1:short", "x:" + "0" * 64, "1:" + "0" * 64, "9" * 30 + ":" + "0" * 64]
)
def test_what_was_not_shown_is_not_let_go(client: FlaskClient, agreed: str, shown: str) -> None:
    prepared(client)
    assert post(client, "/export/look", shown=shown, leaves="1").status_code == 409
    assert manager(client).seen.leaving() == []


def test_a_withdrawn_consent_takes_what_was_seen_with_it(
    client: FlaskClient, agreed: str, work_off: Any
) -> None:
    post(client, f"{sent(client, work_off, 5)}consent", agrees="yes")
    let_go(client, prepared(client), "1", "2")
    assert "2 pictures may leave" in client.get("/export/").text
    post(client, f"{agreed}consent", agrees="no")
    assert "1 picture may leave" in client.get("/export/").text
    post(client, f"{agreed}consent", agrees="yes")
    page = prepared(client)
    assert "1 picture may leave" in page and page.count("You have looked at it") == 1
    assert let_go(client, page, "1", "2", looks=False).status_code == 409
    assert let_go(client, prepared(client), "1", "2").status_code == 303


def test_an_export_with_no_picture_left_that_may_leave_does_not_begin(
    client: FlaskClient, agreed: str
) -> None:
    let_go(client, prepared(client), "1")
    post(client, f"{agreed}consent", agrees="no")
    answer = post(client, "/export/start", to="download")
    assert answer.status_code == 409 and "Nothing was let go" in answer.text


def test_asking_for_no_more_than_the_head_of_a_picture_is_no_look_at_it(
    client: FlaskClient, agreed: str
) -> None:
    page = prepared(client)
    assert client.head("/export/pictures/1/small.png").status_code == 405
    assert let_go(client, page, "1", looks=False).status_code == 409


def test_no_box_is_ticked_before_somebody_ticks_it(client: FlaskClient, agreed: str) -> None:
    page = prepared(client)
    assert 'name="leaves" value="1">' in page
    let_go(client, page, "1")
    assert 'name="leaves" value="1" checked>' in client.get("/export/").text


def test_a_picture_that_was_on_nobodys_screen_is_not_let_go(client: FlaskClient, agreed: str) -> None:
    answer = let_go(client, prepared(client), "1", looks=False)
    assert answer.status_code == 409 and "Some pictures were not shown here" in answer.text
    assert manager(client).seen.leaving() == []


def test_a_picture_that_another_has_looked_at_is_not_let_go(
    client: FlaskClient, agreed: str, people: People
) -> None:
    prepared(client)
    assert client.get("/export/pictures/1/small.png").status_code == 200
    people.add("Bola", Role.ADMINISTRATOR, "294715", "box")
    post(client, "/sign-in/", person=public_id(people, "Bola"), pin="294715")
    assert let_go(client, prepared(client), "1", looks=False).status_code == 409
    assert let_go(client, prepared(client), "1").status_code == 303


def test_one_that_was_not_shown_holds_up_no_other(
    client: FlaskClient, agreed: str, store: Store, work_off: Any
) -> None:
    post(client, f"{sent(client, work_off, 5)}consent", agrees="yes")
    page = prepared(client)
    assert client.get("/export/pictures/2/large.png").status_code == 200
    assert let_go(client, page, "1", "2", looks=False).status_code == 409
    assert manager(client).seen.leaving() == [2]


@pytest.fixture
def made(client: FlaskClient, agreed: str) -> str:
    """A zip with the agreed picture waits to be fetched; the picture's address."""
    let_go(client, prepared(client), "1")
    post(client, "/export/start", to="download")
    manager(client).wait(60)
    assert "Fetch the file" in client.get("/export/").text
    return agreed


def zips(store: Store) -> list[str]:
    return [path.name for path in store.files.incoming.iterdir()]


def gone(client: FlaskClient, store: Store, why: str) -> None:
    """Nothing can be fetched or lies on the disk, and the page says why."""
    assert client.get("/export/download").status_code == 303 and zips(store) == []
    page = client.get("/export/").text
    assert "The file was removed from the box" in page and why in page
    assert "Fetch the file" not in page and "ready to be fetched" not in page


NO_LONGER = "A picture in it may no longer leave this box."


def test_a_file_goes_with_the_consent_to_what_is_in_it(client: FlaskClient, made: str, store: Store) -> None:
    assert post(client, f"{made}consent", agrees="no").status_code == 303
    assert zips(store) == [], "it stays until somebody asks for it"
    gone(client, store, NO_LONGER)


def test_a_file_with_a_picture_whose_time_was_over_is_not_sent(
    client: FlaskClient, made: str, store: Store
) -> None:
    Removal(store.database, store.files).remove([1], now_utc())
    gone(client, store, NO_LONGER)


def test_consent_to_another_picture_that_is_withdrawn_costs_no_file(
    client: FlaskClient, made: str, store: Store, work_off: Any
) -> None:
    other = sent(client, work_off, 5)
    for agrees in ("yes", "no"):
        post(client, f"{other}consent", agrees=agrees)
    assert client.get("/export/download").status_code == 200


def test_a_file_is_kept_for_a_day(
    client: FlaskClient, made: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_s = time.monotonic()
    monkeypatch.setattr(ready_zip.time, "monotonic", lambda: began_s + 23 * 3600)
    assert client.get("/export/download").status_code == 200
    monkeypatch.setattr(ready_zip.time, "monotonic", lambda: began_s + 24 * 3600)
    gone(client, store, "It is kept for one day.")


def test_a_file_goes_while_nobody_opens_a_page(
    client: FlaskClient, agreed: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports_module, "_LOOK_AT_ZIP_EVERY_S", 0.01)
    let_go(client, prepared(client), "1")
    post(client, "/export/start", to="download")
    manager(client).wait(60)
    assert len(zips(store)) == 1
    Removal(store.database, store.files).remove([1], now_utc())
    wait_until(lambda: zips(store) == [])


def test_the_log_says_who_has_fetched_a_file(
    client: FlaskClient, made: str, store: Store, people: People
) -> None:
    client.get("/export/download").close()
    exported, fetched = (
        next(entry for entry in store.log.page(1, 99).entries if entry.action == action)
        for action in (Action.CASES_EXPORTED, Action.CASES_FETCHED)
    )
    assert fetched.actor == public_id(people, "administrator") and fetched.detail == {"pictures": 1}
    assert fetched.subject == exported.subject
    assert "File with exported pictures fetched" in client.get("/log/").text


def test_asking_for_no_more_than_the_head_of_a_file_fetches_nothing(
    client: FlaskClient, made: str, store: Store
) -> None:
    head = client.head("/export/download")
    assert head.status_code == 200 and not head.data and int(head.headers["Content-Length"]) > 1000
    assert Action.CASES_FETCHED not in actions(store)


def test_a_page_that_renews_itself_without_a_script_keeps_nobody_signed_in(
    clock: Any, client: FlaskClient, agreed: str
) -> None:
    prepared(client)
    manager(client).state = State(Phase.RUNNING, Counts(10, 3))
    again = re.search(r'http-equiv="refresh" content="5;url=([^"]+)"', client.get("/export/").text)
    assert again is not None
    for _ in range(11):
        clock(timedelta(minutes=1))
        client.get(html.unescape(again[1]))
    assert client.get("/export/").status_code == 303


def test_a_stick_that_is_not_there_is_said_and_nothing_leaves(client: FlaskClient, agreed: str) -> None:
    let_go(client, prepared(client), "1")
    answer = post(client, "/export/start", to="0" * 16)
    assert answer.status_code == 409 and "Nothing has left" in answer.text


def test_an_export_that_runs_shows_how_far_it_is_and_can_be_stopped(client: FlaskClient, agreed: str) -> None:
    prepared(client)
    manager(client).state = State(Phase.RUNNING, Counts(10, 3, 1), place="CLINIC 3")
    page = client.get("/export/").text
    assert "3 of 10 looked at" in page and 'id="export-state" class="export-state" data-renew' in page
    assert "CLINIC 3" in page and "Let them leave" not in page
    assert post(client, "/export/stop").status_code == 303


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("place", ["", "CLINIC 3"])
def test_an_export_that_failed_says_why_and_what_to_do(
    client: FlaskClient, agreed: str, fault: Fault, place: str
) -> None:
    prepared(client)
    manager(client).state = State(Phase.FAILED, Counts(10, 3), fault, place=place)
    page = client.get("/export/").text
    assert "The export is not finished" in page and FAULTS[fault]._message in html.unescape(page)
    assert ("“.unfinished”" in page) is bool(place) and "2 pictures have left" not in page


def test_writing_over_the_limb_keeps_a_picture_here(
    client: FlaskClient, store: Store, people: People, work_off: Any
) -> None:
    pixels = sample.forearm(sample.NONE, 3)
    ink = np.zeros(pixels.shape, np.uint8)
    cv2.putText(ink, "RAHMAN ABDUL", (110, 300), (255, 255, 255), cv2.FontFace("sans"), 26, 400)
    pixels = np.maximum(pixels, ink.astype(np.uint16) * 16)
    address = send(client, ("a.png", sample.png(pixels))).headers["Location"]
    work_off()
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, f"{address}consent", agrees="yes")
    page = prepared(client)
    assert "Stays: there may be writing over the limb." in page and 'name="leaves"' not in page
    assert client.get("/export/pictures/1/large.png").status_code == 200


def test_writing_that_the_file_declares_keeps_a_picture_here(
    client: FlaskClient, people: People, work_off: Any
) -> None:
    file = dicom(sample.forearm(sample.NONE), BitsStored=12, HighBit=11, BurnedInAnnotation="YES")
    address = send(client, ("a.dcm", file)).headers["Location"]
    work_off()
    sign_in(client, people, Role.ADMINISTRATOR)
    post(client, f"{address}consent", agrees="yes")
    page = prepared(client)
    assert "its file says that there is writing in the picture" in page and 'name="leaves"' not in page


def test_a_box_that_cannot_write_dicom_says_what_to_install(
    client: FlaskClient, agreed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "can_write_dicom", lambda: False)
    assert "ulna[dicom]" in client.get("/export/").text
    assert post(client, "/export/start", to="download").status_code == 501


def test_pydicom_is_looked_for_where_python_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exports_module.can_write_dicom()
    monkeypatch.setattr(exports_module.importlib.util, "find_spec", lambda name: None)
    assert not exports_module.can_write_dicom()
