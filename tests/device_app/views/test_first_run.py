"""Setting a box up: every step, in any order, by whoever may."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from device_app import create_app, engine_report
from device_app.access.roles import Role
from device_app.engine_report import EngineReport
from device_app.first_run import STEPS, Step, after, before, clock_is_behind
from device_app.settings import Settings
from device_app.status import Phase, ReaderStatus
from runtime.golden import EngineResult
from runtime.latency import Latency
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_access import post, sign_in

RESULTS = (
    EngineResult("openvino-int8", "openvino", "int8", True, "all golden cases", Latency(9.04, 10, 11, 30)),
    EngineResult("tensorrt-fp16", "tensorrt", "fp16", False, "there is no GPU"),
)
READY = ReaderStatus(
    Phase.READY, engine="openvino-int8", bundle_sha256="ab" * 32, engines=engine_report.text_of(RESULTS)
)
ELSEWHERE = {"REMOTE_ADDR": "192.168.1.50"}


@pytest.fixture
def box(config: Any, store: Any) -> Any:
    return create_app(config, FixedReader(READY)).test_client()


def begin(client: Any) -> Any:
    return post(client, "/first/administrator", name="Asha", pin="492741", again="492741")


def done(client: Any) -> list[str]:
    rows = re.findall(r"<li><a class=\"one step\".*?</li>", client.get("/first/").text, re.DOTALL)
    return [step for step, row in zip(STEPS, rows, strict=True) if "step-done" in row]


def test_a_new_box_offers_to_be_set_up_and_reads_pictures_all_the_same(box: Any) -> None:
    page = box.get("/").text
    assert "has not been set up yet" in page and 'href="/first/"' in page and 'id="picture"' in page
    begin(box)
    assert "has not been set up yet" not in box.get("/").text


def test_from_nothing_to_everything_done(box: Any, store: Any, work_off: Any) -> None:
    assert done(box) == []
    steps = {
        Step.LANGUAGE: {"language": "en"},
        Step.CLINIC: {"clinic": "Clinic of the Lake"},
        Step.ADMINISTRATOR: {"name": "Asha", "pin": "492741", "again": "492741"},
        Step.DATE: {},
        Step.ENGINES: {},
        Step.SOURCES: {},
    }
    for step, form in steps.items():
        answer = post(box, f"/first/{step}", **form)
        assert answer.headers["Location"] == f"/first/{after(step)}", step
    assert "Read the test picture" in box.get("/first/test").text
    post(box, "/first/test")
    assert "It is being read." in box.get("/first/test").text
    work_off()
    assert "That is right: the box works." in box.get("/first/test").text
    assert done(box) == [str(step) for step in STEPS]
    assert "Clinic of the Lake" in box.get("/").text
    assert "All is done: read pictures" in box.get("/first/").text


@pytest.mark.parametrize("step", STEPS)
def test_every_step_can_be_left_out_and_come_back_to(box: Any, step: Step) -> None:
    page = box.get(f"/first/{step}").text
    following, former = after(step), before(step)
    assert 'href="/first/"' in page
    assert (f'href="/first/{following}"' in page and "Leave this out" in page) or step is STEPS[-1]
    assert former is None or f'href="/first/{former}"' in page


def test_a_step_that_is_none_is_not_found(box: Any) -> None:
    assert box.get("/first/nonsense").status_code == 404


@pytest.mark.parametrize("step", STEPS)
def test_over_a_network_nobody_sets_up_a_box_that_nobody_looks_after(
    box: Any, store: Any, step: Step
) -> None:
    assert box.get(f"/first/{step}", environ_overrides=ELSEWHERE).status_code == 403
    token = re.search(r'name="csrf_token" value="([^"]+)"', box.get("/").text)
    assert token is not None
    form = {"csrf_token": token[1], "clinic": "Stolen", "name": "M", "pin": "492741", "again": "492741"}
    answer = box.post(f"/first/{step}", data=form, environ_overrides=ELSEWHERE)
    assert answer.status_code == 403 and "at the box itself" in answer.text
    assert Settings(store.database).now().clinic == "" and store.records.history(1, 9).total == 0


@pytest.mark.parametrize("role", [None, Role.USER, Role.READER])
def test_once_somebody_looks_after_the_box_nobody_else_sets_it_up(
    box: Any, store: Any, people: Any, role: Role | None
) -> None:
    if role is not None:
        sign_in(box, people, role)
    asked, sent = box.get("/first/clinic"), post(box, "/first/clinic", clinic="Stolen")
    if role is None:
        assert asked.status_code == 303 and asked.headers["Location"].startswith("/sign-in/")
        assert sent.status_code == 401 and "Nothing was stored" in sent.text
    else:
        assert asked.status_code == sent.status_code == box.get("/first/").status_code == 403
        assert "You may not do that here" in asked.text
    assert Settings(store.database).now().clinic == ""


def test_who_would_be_administrator_after_somebody_else_is_told_that_nothing_was_stored(
    box: Any, store: Any, people: Any
) -> None:
    led = post(box, "/first/administrator", name="Eve", pin="492741", again="492741").headers["Location"]
    assert "If not, nothing was stored." in box.get(led).text
    assert "If not, nothing was stored." not in box.get(box.get("/first/").headers["Location"]).text
    assert "Eve" not in [person.name for person in people.all()]


def test_a_weak_or_mistyped_pin_makes_nobody(box: Any, store: Any) -> None:
    differ = post(box, "/first/administrator", name="Asha", pin="492741", again="492742")
    easy = post(box, "/first/administrator", name="Asha", pin="111111", again="111111")
    assert differ.status_code == easy.status_code == 400
    assert "differ" in differ.text and "too easy" in easy.text and done(box) == []


def test_a_language_that_nobody_speaks_here_is_refused(box: Any, store: Any) -> None:
    assert post(box, "/first/language", language="tlh").status_code == 400
    assert Settings(store.database).now().language == ""


def test_the_engines_page_says_which_passed_and_which_is_used(box: Any) -> None:
    page = box.get("/first/engines").text
    rows = re.findall(r'<li class="one">.*?</li>', page, re.DOTALL)
    assert ["passed the self-test" in row for row in rows] == [True, False]
    assert "in use" in rows[0] and "9.0 ms" in rows[0] and "there is no GPU" in rows[1]


def test_while_engines_are_tested_the_page_waits_for_them(config: Any, store: Any) -> None:
    waiting = create_app(config, FixedReader(ReaderStatus(Phase.STARTING))).test_client()
    assert "are being tested now" in waiting.get("/first/engines").text


def test_a_clock_that_shows_an_earlier_time_than_has_been_is_told(config: Any, store: Any) -> None:
    late = ReaderStatus(Phase.READY, made_utc="2126-01-01T00:00:00+00:00")
    page = create_app(config, FixedReader(late)).test_client().get("/first/date").text
    assert "This clock cannot be right: the box has seen 1 Jan 2126" in page
    now = datetime.now(UTC).replace(tzinfo=None)
    assert clock_is_behind(now, []) is None and clock_is_behind(now, [datetime(2020, 1, 1)]) is None


def test_a_test_answered_otherwise_than_known_is_told_loudly(box: Any, store: Any, work_off: Any) -> None:
    from sqlalchemy import text

    post(box, "/first/test")
    work_off()
    with store.database.write() as session:  # as a model would have that sees nothing
        row = session.execute(text("SELECT findings_json FROM results")).scalar()
        turned = re.sub(r'"probability": [0-9.e-]+', '"probability": 0.000001', row)
        turned = turned.replace('"verdict": "fracture"', '"verdict": "none"')
        turned = re.sub(r'"boxes": \[[^\]]*\]', '"boxes": []', turned)
        session.execute(text("UPDATE results SET verdict = 'none', findings_json = :it"), {"it": turned})
    page = box.get("/first/test").text
    assert "That is not what this picture shows. Do not use the box" in page


def test_what_the_worker_reports_of_engines_comes_back() -> None:
    assert engine_report.of_text(engine_report.text_of(RESULTS)) == (
        EngineReport("openvino-int8", True, "all golden cases", 9.0),
        EngineReport("tensorrt-fp16", False, "there is no GPU"),
    )
    assert engine_report.of_text("") == engine_report.of_text("{") == ()
