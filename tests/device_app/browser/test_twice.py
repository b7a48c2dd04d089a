"""A finger that touches twice, before the box has answered the first touch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from device_app.access.roles import Role
from tests.device_app import sample
from tests.device_app.browser.test_result import Clinic, clinic, page, sign_in

__all__ = ["clinic", "page"]
pytestmark = pytest.mark.browser


@pytest.fixture
def examination(page: Any, clinic: Clinic) -> str:
    """One whose answer a reader looks at."""
    found = clinic.give(sample.FRACTURE, 1)
    clinic.read()
    sign_in(page, clinic, Role.READER)
    page.goto(clinic.page_of(found))
    return found


@pytest.fixture
def arrived(page: Any) -> Iterator[list[str]]:
    """What was sent, each of which the box gets half a second late."""
    sent: list[str] = []

    def hold(route: Any) -> None:
        if route.request.method == "POST":
            sent.append(route.request.url)
            page.wait_for_timeout(500)
        route.continue_()

    page.route("**/*", hold)
    yield sent
    page.unroute("**/*")


def touch_twice(page: Any, button: Any, pause_ms: int) -> None:
    button.scroll_into_view_if_needed()
    place = button.bounding_box()
    at = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.touchscreen.tap(*at)
    page.wait_for_timeout(pause_ms)
    page.touchscreen.tap(*at)


@pytest.mark.parametrize("pause_ms", [10, 100])
def test_who_agrees_with_two_touches_has_agreed_once(
    page: Any, clinic: Clinic, examination: str, arrived: list[str], pause_ms: int
) -> None:
    touch_twice(page, page.get_by_role("button", name="I agree: Fracture"), pause_ms)
    page.get_by_text("You agree with the box.").wait_for()
    assert len(arrived) == len(clinic.store.readings.all()) == 1
    assert page.get_by_text("Second reading: Fracture").count() == 1


def test_where_no_script_runs_the_box_itself_stores_it_once(chromium: Any, clinic: Clinic) -> None:
    context = chromium.new_context(has_touch=True, java_script_enabled=False)
    page, examination = context.new_page(), clinic.give(sample.FRACTURE, 1)
    clinic.read()
    sign_in(page, clinic, Role.READER)
    page.goto(clinic.page_of(examination))
    touch_twice(page, page.get_by_role("button", name="I agree: Fracture"), 10)
    page.get_by_text("You agree with the box.").wait_for()
    assert page.get_by_text("Second reading: Fracture").count() == 1
    context.close()
    assert len(clinic.store.readings.all()) == 1


def test_who_comes_back_to_a_page_may_send_its_form_again(
    page: Any, clinic: Clinic, examination: str
) -> None:
    for judgement in ("No fracture", "Not sure"):
        page.get_by_text("Say what you think of it").tap()
        page.get_by_role("radio", name=judgement).first.check()
        page.get_by_role("button", name="Store").first.tap()
        page.get_by_text(f"Second reading: {judgement}").wait_for()
        page.go_back()
    assert [str(said.judgement) for said in clinic.store.readings.all()] == ["none", "doubt"]


def test_who_stays_because_of_what_she_has_marked_may_leave_later(
    page: Any, clinic: Clinic, examination: str
) -> None:
    answers = iter([False, True])
    page.on("dialog", lambda dialog: dialog.accept() if next(answers) else dialog.dismiss())
    page.get_by_text("Say what you think of it").tap()
    page.get_by_role("button", name="Mark on the picture").tap()
    page.get_by_role("button", name="New", exact=True).tap()
    page.locator(".place-drawn").wait_for()
    page.get_by_role("button", name="Sign out").tap()
    page.wait_for_timeout(500)
    assert page.get_by_role("button", name="Sign out").is_visible()
    page.get_by_role("button", name="Sign out").tap()
    page.wait_for_url(re.compile(r"/$"))
    page.get_by_role("button", name="Sign out").wait_for(state="detached")


def test_who_takes_a_copy_of_the_log_away_may_check_it_at_once_and_take_another(
    page: Any, clinic: Clinic
) -> None:
    sign_in(page, clinic, Role.ADMINISTRATOR)
    page.goto(f"{clinic.address}/log/")
    for _ in range(2):
        with page.expect_download():
            page.get_by_role("button", name="Take a copy away").tap()
    page.get_by_role("button", name="Check the log").tap()
    page.get_by_role("heading", name="The log is whole.").wait_for()
