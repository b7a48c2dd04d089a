"""The limits of a clinic, through Flask's client."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.config import KioskConfig
from device_app.limits_text import Limits
from device_app.monitoring.book import Expectation
from device_app.monitoring.expectation import Expectations
from device_app.site_points.limits import STEPS, Steps, points_at
from device_app.status import Phase, ReaderStatus
from device_app.store import Store
from device_app.store.log import Action
from device_app.store.models import SitePoints
from device_app.store.site_points import given_points, last_decision
from device_app.web import build_app
from runtime.findings import GivenPoints, OperatingPoints
from tests.device_app.conftest import FixedReader
from tests.device_app.site_points.made import BASE, Seen, clinic, expected, fill
from tests.device_app.views.conftest import PINS
from tests.device_app.views.test_access import post, sign_in

BUNDLE = "ab" * 32
PAGE = "/box/limits/"


def status(base: OperatingPoints = BASE, bundle: str = BUNDLE) -> ReaderStatus:
    said = {"own": vars(base), "used": vars(base), "unused": False, "several": False}
    assert Limits(base, base) is not None
    return ReaderStatus(Phase.READY, bundle_name="made", bundle_sha256=bundle, limits=json.dumps(said))


@pytest.fixture
def open_app(config: KioskConfig, store: Store) -> Callable[[ReaderStatus], Flask]:
    """A kiosk whose model was tested by its maker: 90 of 100 fractures found."""

    def build(told: ReaderStatus) -> Flask:
        app = build_app(config, FixedReader(told))
        app.testing = True
        answers = Expectation(told.bundle_sha256, BASE, expected(BASE))
        app.extensions["ulna-expectations"] = Expectations(config, lambda _: answers)
        return app

    return build


@pytest.fixture
def administrator(open_app: Callable[[ReaderStatus], Flask], people: People) -> FlaskClient:
    client = open_app(status()).test_client()
    assert sign_in(client, people, Role.ADMINISTRATOR).status_code == 303
    return client


def wish(client: FlaskClient, path: str, **form: Any) -> Any:
    sent = {"sensitive": "-2", "specific": "0", "after": "0", "reason": "Too many are missed.", **form}
    return post(client, PAGE + path, **sent)


@pytest.mark.parametrize("role", [None, *PINS])
def test_the_page_opens_for_the_administrator_alone(open_app: Any, people: People, role: Role | None) -> None:
    client = open_app(status()).test_client()
    if role is not None:
        sign_in(client, people, role)
    assert client.get(PAGE).status_code == {None: 303, Role.ADMINISTRATOR: 200}.get(role, 403)
    for path in ("look", "change"):
        answer = wish(client, path, sure="yes", fewer="yes")
        assert answer.status_code == {None: 401, Role.ADMINISTRATOR: answer.status_code}.get(role, 403)


def test_a_form_of_another_page_changes_nothing(administrator: FlaskClient, store: Store) -> None:
    form = {"sensitive": "-2", "specific": "0", "after": "0", "reason": "x", "sure": "yes", "fewer": "yes"}
    assert administrator.post(PAGE + "change", data=form).status_code == 400
    assert last_decision(store.database, BUNDLE) is None


def test_while_no_model_is_at_work_the_page_says_so(open_app: Any, people: People) -> None:
    client = open_app(ReaderStatus(Phase.STARTING)).test_client()
    sign_in(client, people, Role.ADMINISTRATOR)
    answer = client.get(PAGE)
    assert answer.status_code == 503 and "not ready" in answer.text


def test_with_nothing_known_nothing_is_proposed(administrator: FlaskClient) -> None:
    page = administrator.get(PAGE).text
    assert "Too little is known yet" in page and "Proposed" not in page
    assert "Nobody has followed up a picture in which the box found no fracture" in page


def test_a_clinic_in_which_too_many_are_missed_gets_another_limit_proposed(
    administrator: FlaskClient, store: Store
) -> None:
    fill(store, BUNDLE, BASE, clinic(200, 300, 0.6, BASE))
    page = administrator.get(PAGE).text
    assert "The box misses more fractures here" in page and "Put the proposed limits" in page
    assert page.count("To be expected") >= 2
    steps = re.search(r"sensitive=(-\d)&amp;specific=0#choose", page)
    assert steps is not None
    chosen = administrator.get(f"{PAGE}?sensitive={steps[1]}&specific=0").text
    assert re.search(rf'<option value="{steps[1]}" selected', chosen)


def test_pictures_without_a_finding_that_nobody_followed_up_are_warned_of(
    administrator: FlaskClient, store: Store
) -> None:
    seen = [Seen((0.8,), "outcome", True)] * 60 + [Seen((0.01,), "outcome", False)] * 5
    fill(store, BUNDLE, BASE, seen + [Seen((0.01,))] * 200)
    page = administrator.get(PAGE).text
    assert "So the box seems to find more fractures than it does" in page
    assert "5 of 205" in page and "60 of 60" in page


def test_second_readings_are_told_apart_from_outcomes(administrator: FlaskClient, store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.8,), "second", True), Seen((0.8,), "own", True)])
    page = administrator.get(PAGE).text
    assert "Known from the end of it: 0. Known from a second reading alone: 1." in page
    assert "agrees with the box too often" in page


def test_what_would_have_changed_is_shown_before_anything_does(
    administrator: FlaskClient, store: Store
) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.07,), "outcome", True), Seen((0.9,), "outcome", True)])
    page = wish(administrator, "look", sensitive="4").text
    lost = page.index("Confirmed fractures that would become “no fracture found”: 1 of 2.")
    assert lost < page.index("What would have been") < page.index("from “doubt” to “no fracture found”: 1")
    assert last_decision(store.database, BUNDLE) is None


def test_a_change_is_stored_with_reason_and_figures_and_logged_without_the_reason(
    administrator: FlaskClient, store: Store, people: People
) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True)])
    assert "may be missed than in the maker" in wish(administrator, "look").text
    answer = wish(administrator, "change", sure="yes", fewer="yes")
    assert answer.status_code == 303
    decision = last_decision(store.database, BUNDLE)
    assert decision is not None and decision.reason == "Too many are missed."
    assert decision.evidence["after"]["sensitivity"] == {"count": 1, "total": 1}
    given = given_points(store.database, BUNDLE)
    assert given == GivenPoints(points_at(BASE, Steps(-2, 0)), BASE)
    entry = next(one for one in store.log.page(1, 50).entries if one.action == Action.POINTS_CHANGED)
    assert entry.subject == BUNDLE and entry.detail["thresholds_sha256"] == given.points.digest
    assert entry.detail["before"] == "own" and "missed" not in json.dumps(entry.detail)
    page = administrator.get(PAGE).text
    assert "Too many are missed." in page and "Back to the limits as released" in page
    assert "Limits of the box&#39;s answers changed" in administrator.get("/log/").text


@pytest.mark.parametrize("missing", ["sure", "fewer"])
def test_without_every_tick_nothing_is_changed(
    administrator: FlaskClient, store: Store, missing: str
) -> None:
    ticks = {name: "yes" for name in ("sure", "fewer") if name != missing}
    answer = wish(administrator, "change", **ticks)
    assert answer.status_code == 400 and "Tick every box" in answer.text
    assert last_decision(store.database, BUNDLE) is None


def test_where_enough_fractures_are_found_for_certain_one_tick_is_enough(
    administrator: FlaskClient, store: Store
) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True)] * 200)
    assert 'name="fewer"' not in wish(administrator, "look").text
    assert wish(administrator, "change", sure="yes").status_code == 303


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"reason": " "}, "Write why"),
        ({"sensitive": str(STEPS + 1)}, "may not be chosen"),
        ({"sensitive": str(-STEPS - 1)}, "may not be chosen"),
        ({"specific": str(STEPS + 1)}, "may not be chosen"),
        ({"sensitive": str(STEPS), "specific": "-1"}, "must begin below"),
        ({"sensitive": "0.001"}, "may not be chosen"),
        ({"sensitive": "nan"}, "may not be chosen"),
        ({"sensitive": "0"}, "in force already"),
    ],
)
def test_what_may_not_be_chosen_is_refused_in_words(
    administrator: FlaskClient, store: Store, form: dict[str, str], words: str
) -> None:
    for path in ("look", "change"):
        answer = wish(administrator, path, sure="yes", fewer="yes", **form)
        assert answer.status_code == 400 and words in answer.text
    assert last_decision(store.database, BUNDLE) is None


def test_a_page_made_before_another_decision_changes_nothing(
    administrator: FlaskClient, store: Store
) -> None:
    assert wish(administrator, "change", sure="yes", fewer="yes").status_code == 303
    answer = wish(administrator, "change", sensitive="-5", sure="yes", fewer="yes")
    assert answer.status_code == 409 and "Somebody else" in answer.text


def test_going_back_to_the_bundles_own_needs_a_reason_and_no_figures(
    administrator: FlaskClient, store: Store
) -> None:
    wish(administrator, "change", sure="yes", fewer="yes")
    number = str(last_decision(store.database, BUNDLE).number)  # type: ignore[union-attr]
    assert "as released" in wish(administrator, "look", own="yes", after=number).text
    form = {"sensitive": "0", "specific": "0", "after": number, "sure": "yes"}
    assert wish(administrator, "change", **form).status_code == 303
    assert given_points(store.database, BUNDLE) is None
    assert last_decision(store.database, BUNDLE).reason  # type: ignore[union-attr]


def test_a_row_that_cannot_be_read_is_told_and_can_be_mended(
    administrator: FlaskClient, store: Store
) -> None:
    wish(administrator, "change", sure="yes", fewer="yes")
    with store.database.write() as session:
        session.query(SitePoints).one().points_json = "{"
    page = administrator.get(PAGE).text
    assert "cannot be read" in page and "answers nothing until you choose again" in page
    number = str(last_decision(store.database, BUNDLE).number)  # type: ignore[union-attr]
    form = {"sensitive": "0", "specific": "0", "after": number, "sure": "yes"}
    assert wish(administrator, "change", **form).status_code == 303
    assert given_points(store.database, BUNDLE) is None


def test_another_model_starts_with_its_own_limits(open_app: Any, people: People, store: Store) -> None:
    first = open_app(status()).test_client()
    sign_in(first, people, Role.ADMINISTRATOR)
    wish(first, "change", sure="yes", fewer="yes")
    other = open_app(status(bundle="cd" * 32)).test_client()
    sign_in(other, people, Role.ADMINISTRATOR)
    page = other.get(PAGE).text
    assert "Back to the limits as released" not in page and "A new model starts with its own" in page


def test_a_model_with_one_limit_cannot_be_moved(open_app: Any, people: People) -> None:
    client = open_app(status(OperatingPoints(0.3, 0.3))).test_client()
    sign_in(client, people, Role.ADMINISTRATOR)
    assert "It cannot be moved here" in client.get(PAGE).text
    assert wish(client, "change", sure="yes", fewer="yes").status_code == 400


def test_an_answer_says_how_often_the_box_is_right_here(open_app: Any, store: Store) -> None:
    seen = [Seen((0.9,), "outcome", True)] * 39 + [Seen((0.01,), "outcome", True)] * 3
    fill(store, BUNDLE, BASE, seen + [Seen((0.01,), "outcome", False)] * 3)
    page = open_app(status()).test_client().get("/examinations/made-0/").text
    assert "this model found 90 of 100 fractures" in page
    assert "of 42 confirmed fractures the box finds 39 (93%, probably between 80% and 98%)" in page
    assert "Confirmed without one: 3" in page


def test_an_answer_of_another_model_says_nothing_of_this_ones_figures(open_app: Any, store: Store) -> None:
    fill(store, "cd" * 32, BASE, [Seen((0.9,), "outcome", True)])
    page = open_app(status()).test_client().get("/examinations/made-0/").text
    assert "How sure is it?" in page and "How often is the box right?" not in page


def test_people_and_the_box_show_the_same_figures(open_app: Any, people: People, store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True)] * 40)
    client = open_app(status()).test_client()
    sign_in(client, people, Role.READER)
    line = "of 40 confirmed fractures the box finds 40"
    assert line in client.get("/agreement").text and line in client.get("/examinations/made-0/").text
