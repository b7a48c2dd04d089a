"""The page that says whether the box can be trusted, through Flask's client."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from device_app import create_app
from device_app.access.roles import Role
from device_app.intake.sources import SourceKind, Sources, Trouble, install_sources
from device_app.monitoring.book import Expectation
from device_app.monitoring.expectation import Expectations
from device_app.settings import Settings
from device_app.status import Phase, ReaderStatus
from device_app.store.database import now_utc
from device_app.store.site_points import Change, change_points
from device_app.views import monitor
from device_app.views.monitor import LEAST_SHOWN
from device_app.vitals import Vitals
from runtime.expected import ExpectedAnswers
from tests.device_app import sample
from tests.device_app.conftest import FixedReader, overwrite_database
from tests.device_app.monitoring.sites import BUNDLE, MONDAY, POINTS, Made, fill
from tests.device_app.monitoring.test_book import sample_expected
from tests.device_app.views.test_access import sign_in

PATH = "/box/watch/"
READY = ReaderStatus(Phase.READY, engine="onnxruntime-fp32", bundle_sha256=BUNDLE)
WELL = Vitals(48.0, 100.0, 8 << 30, 5 << 30, 64 << 30, 40 << 30, 0.3, 4, False)
MANY = Made(weeks=12, pictures=120)
CHANGED = Made(weeks=5, pictures=120, start=MONDAY + timedelta(weeks=12), shift=-1.0, failed=4, seed=1)


@pytest.fixture
def vitals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine that is well, whatever this one is doing."""
    monkeypatch.setattr(monitor, "read_vitals", lambda _folder: WELL)
    monkeypatch.setattr(monitor, "now_utc", lambda: max(now_utc(), MONDAY + timedelta(weeks=60)))


@pytest.fixture
def app(config: Any, store: Any, vitals: None) -> Flask:
    return create_app(config, FixedReader(READY))


@pytest.fixture
def kiosk(app: Flask) -> FlaskClient:
    return app.test_client()


def expecting(app: Flask, config: Any, answers: ExpectedAnswers | None) -> None:
    """As with a bundle that says what to expect, or None."""
    known = Expectations(config, lambda _config: Expectation(BUNDLE, POINTS, answers))
    known.of(BUNDLE, wait_s=60)
    app.extensions["ulna-expectations"] = known


def headline(page: str) -> str:
    return re.search(r'class="verdict.*?<h2>(.*?)</h2>', page, re.DOTALL)[1]  # type: ignore[index]


def test_a_new_box_that_is_well_can_be_trusted_and_says_that_it_learns(kiosk: FlaskClient) -> None:
    page = kiosk.get(PATH).text
    assert headline(page) == "The box can be trusted now."
    assert "No picture has been read with this model yet." in page and "0 of 8 weeks" in page
    assert "48 °C" in page and "5.4 GB of 8.6 GB" in page and "30% of what it can do" in page


def test_a_site_that_stays_as_it_is_can_be_trusted(kiosk: FlaskClient, store: Any) -> None:
    fill(store, MANY)
    page = kiosk.get(PATH).text
    assert headline(page) == "The box can be trusted now."
    assert "those of the first 8 weeks here" in page and "at most one false alarm in 10 years" in page
    assert page.count('<th scope="row">2026-W') == 12


def test_scores_that_fell_end_the_trust_and_say_what_to_do(kiosk: FlaskClient, store: Any) -> None:
    fill(store, MANY)
    fill(store, CHANGED)
    page = kiosk.get(PATH).text
    assert headline(page) == "Do not rely on the box now."
    assert "The box may miss fractures." in page and "Look for dirt or damage on the detector" in page
    assert "against the first 8 weeks here" in page and "2026-W18: 4 pictures." in page
    assert "took too long" in page  # why there was no answer


def test_a_box_that_does_not_read_is_not_to_be_relied_on(config: Any, store: Any, vitals: None) -> None:
    client = create_app(config, FixedReader(ReaderStatus(Phase.CANNOT_ANSWER))).test_client()
    assert headline(client.get(PATH).text) == "Do not rely on the box now."


def test_a_bundle_that_says_what_to_expect_is_compared_with_and_drawn(
    app: Flask, kiosk: FlaskClient, store: Any, config: Any
) -> None:
    fill(store, Made(weeks=3))
    assert "could not be read yet" in kiosk.get(PATH).text  # this kiosk's own bundle is another one
    expecting(app, config, None)
    without = kiosk.get(PATH).text
    assert "does not say what to expect" in without and "chart-expected" not in without
    expecting(app, config, sample_expected())
    page = kiosk.get(PATH).text
    assert "compared with those that the model was proven on" in page and 'class="chart-expected"' in page


def test_pictures_unlike_the_makers_are_to_be_looked_at(
    app: Flask, kiosk: FlaskClient, store: Any, config: Any
) -> None:
    expecting(app, config, sample_expected())
    fill(store, Made(weeks=6, pictures=120, shift=1.5))
    page = kiosk.get(PATH).text
    assert headline(page) == "Look at this."
    assert (
        "score higher than those that the model was proven on" in page and "against the maker&#39;s" in page
    )


def test_the_table_holds_the_numbers_of_the_charts(kiosk: FlaskClient, store: Any) -> None:
    fill(store, Made(weeks=2, pictures=50, refused=0.3))
    page = kiosk.get(PATH).text
    points = re.findall(r'<circle class="chart-point" cx="[\d.]+" cy="([\d.]+)"', page)
    assert len(points) == 4
    shares = [float(each) for each in re.findall(r"<td>([\d.]+)% <span", page)]
    top = float(re.search(r'<text class="chart-word" x="-8" y="5"[^>]*>([\d.]+)%', page)[1])  # type: ignore[index]
    newest, oldest = shares[0], shares[3]
    drawn = [top * (1 - float(y) / 150) for y in points[:2]]
    assert drawn == pytest.approx([oldest, newest], abs=0.1)


def test_a_change_of_limits_is_marked_where_it_moves_the_course(kiosk: FlaskClient, store: Any) -> None:
    fill(store, Made(weeks=2, start=now_utc() - timedelta(weeks=1)))
    assert "chart-changed" not in kiosk.get(PATH).text
    change_points(store.database, "p1", Change(BUNDLE, None, "as the model comes", 0, {}))
    page = kiosk.get(PATH).text
    assert page.count('class="chart-changed"') == 1 and "the limits of this clinic were changed" in page


def sources(app: Flask, *troubles: Trouble) -> None:
    known = Sources()
    for kind, trouble in zip(SourceKind, troubles, strict=False):
        known.open(kind, "/srv/pictures", trouble)
    install_sources(app, known)


def box_headline(kiosk: FlaskClient) -> str:
    return headline(kiosk.get("/box").text)


def test_ways_in_that_do_not_work_are_said_here_and_on_the_page_of_the_box(
    app: Flask, kiosk: FlaskClient
) -> None:
    sources(app, Trouble.STUCK, Trouble.FAILED, Trouble.NONE)
    page, box = kiosk.get(PATH).text, kiosk.get("/box").text
    assert headline(page) == headline(box) == "Look at this."
    for said in ("Watched folder: Files there were taken", "DICOM receiver: It failed"):
        assert said in page and said in box
    sources(app, Trouble.NONE, Trouble.STARTING)
    assert headline(kiosk.get(PATH).text) == "The box can be trusted now."
    assert box_headline(kiosk) == "The box is working."
    assert kiosk.get("/healthz").json["alarms"] == []


def test_an_engine_out_of_service_is_said(config: Any, store: Any, vitals: None) -> None:
    status = replace(READY, engine_reason="openvino-int8 passed; tensorrt-fp16 is out of service: no number")
    client = create_app(config, FixedReader(status)).test_client()
    page = client.get(PATH).text
    assert headline(page) == box_headline(client) == "Look at this."
    assert "An engine that reads pictures has failed" in page


def test_the_page_of_the_box_never_says_that_it_works_where_it_is_not_to_be_relied_on(
    kiosk: FlaskClient, store: Any
) -> None:
    fill(store, MANY)
    fill(store, CHANGED)
    page = kiosk.get("/box").text
    assert headline(page) == "Do not rely on the box now." and "may miss fractures" in page


@pytest.mark.parametrize("made", ["2999-01-01T00:00:00+00:00", "no date"])
def test_a_clock_before_the_making_of_the_model_is_said(
    config: Any, store: Any, vitals: None, made: str
) -> None:
    client = create_app(config, FixedReader(replace(READY, made_utc=made))).test_client()
    assert ("clock is wrong" in client.get(PATH).text) is made.startswith("2999")


def test_two_weeks_of_one_name_are_both_shown(kiosk: FlaskClient, store: Any) -> None:
    fill(store, Made(weeks=9))
    fill(store, Made(weeks=1, pictures=33, start=MONDAY + timedelta(weeks=3), seed=1))
    page = kiosk.get(PATH).text
    rows = re.findall(r'<th scope="row">2026-W05</th><td>(\d+)</td>', page)
    assert rows == ["33", "60"] and headline(page) == "Look at this." and "clock is wrong" in page


def read_first(kiosk: FlaskClient) -> None:
    kiosk.application.extensions["ulna-access"].settings.change("box", own_read_first=True)


def test_where_people_read_first_no_picture_changes_what_is_shown(
    kiosk: FlaskClient, store: Any, people: Any
) -> None:
    fill(store, Made(weeks=1, pictures=LEAST_SHOWN, start=MONDAY))
    fill(store, Made(weeks=1, pictures=LEAST_SHOWN - 1, start=MONDAY + timedelta(weeks=1), seed=1))
    fill(store, Made(weeks=1, pictures=40, start=MONDAY + timedelta(weeks=2), seed=2))
    read_first(kiosk)
    sign_in(kiosk, people, Role.USER)
    before = shown(kiosk)
    assert re.findall(r'<th scope="row">(2026-W\d+)', before) == ["2026-W02"]
    fill(store, Made(weeks=1, pictures=1, start=MONDAY + timedelta(weeks=2, days=1), seed=3))
    assert shown(kiosk) == before and "Weeks are shown when they are over" in before
    fill(store, Made(weeks=1, pictures=1, start=MONDAY + timedelta(weeks=3), seed=4))
    assert re.findall(r'<th scope="row">(2026-W\d+)', shown(kiosk)) == ["2026-W04", "2026-W02"]


def test_where_people_read_first_the_only_picture_is_not_told(
    kiosk: FlaskClient, store: Any, people: Any
) -> None:
    fill(store, Made(weeks=1, pictures=1))
    read_first(kiosk)
    sign_in(kiosk, people, Role.USER)
    page = shown(kiosk)
    assert "Week by week" not in page and "No picture has been read" not in page and "chart" not in page


def test_where_people_read_first_alarms_count_everything(kiosk: FlaskClient, store: Any, people: Any) -> None:
    fill(store, MANY)
    fill(store, CHANGED)
    read_first(kiosk)
    sign_in(kiosk, people, Role.USER)
    assert headline(kiosk.get(PATH).text) == "Do not rely on the box now."


def shown(kiosk: FlaskClient) -> str:
    """What the page says of answers; how many examinations were counted so far is no answer."""
    said = kiosk.get(PATH).text.partition("<h2>What it answers</h2>")[2].partition("<form")[0]
    return re.sub(r"\d+ of 100 examinations", "", said)


def test_nothing_of_a_single_patient_is_on_it(
    kiosk: FlaskClient, store: Any, receive: Any, work_off: Any
) -> None:
    receipt = receive(sample.picture(sample.FRACTURE), "secret-name.png", "P 4711")
    work_off()
    fill(store, Made(weeks=2))
    page = kiosk.get(PATH).text
    assert not [word for word in ("4711", "secret-name", receipt.public_id, "P 1234") if word in page]


def test_only_an_administrator_begins_the_watch_anew_and_then_all_alarms_end(
    kiosk: FlaskClient,
    store: Any,
    people: Any,
) -> None:
    fill(store, MANY)
    fill(store, CHANGED)
    token = re.search(r'name="csrf_token" value="([^"]+)"', kiosk.get("/").text)[1]  # type: ignore[index]
    assert kiosk.post(f"{PATH}normal", data={"csrf_token": token}).status_code == 401
    assert "Begin the watch anew" not in kiosk.get(PATH).text
    sign_in(kiosk, people, Role.ADMINISTRATOR)
    page = kiosk.get(PATH).text
    assert "Begin the watch anew" in page
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]
    assert kiosk.post(f"{PATH}normal", data={"csrf_token": token}).status_code == 303
    page = kiosk.get(PATH).text
    assert "The box may miss fractures." not in page and "The watch was begun anew" in page
    assert "0 of 8 weeks" in page and page.count('<th scope="row">2026-W') == 17


@pytest.mark.usefixtures("people")
def test_a_site_that_asks_for_a_pin_asks_for_it_here_too(kiosk: FlaskClient, store: Any) -> None:
    Settings(store.database).change("box", sign_in_to_use=True)
    answer = create_app_again(kiosk).get(PATH)
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in/")


def create_app_again(kiosk: FlaskClient) -> FlaskClient:
    """Settings are read once a process."""
    from device_app.web import kiosk_of

    return create_app(kiosk_of(kiosk.application).config, FixedReader(READY)).test_client()


def test_a_damaged_database_is_never_a_box_that_can_be_trusted(
    kiosk: FlaskClient, store: Any, config: Any
) -> None:
    fill(store, Made(weeks=1))
    overwrite_database(config, store)
    answer = kiosk.get(PATH)
    assert answer.status_code == 503 and "can be trusted now" not in answer.text


def test_the_page_of_the_box_leads_here(kiosk: FlaskClient) -> None:
    assert f'href="{PATH}"' in kiosk.get("/box").text
