"""Somebody who has never seen the box does all of it, offline: by touch alone, then by the keyboard alone.

With ULNA_SCREENSHOTS=DIR every screen on the way is kept there, with the time that each part took.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from device_app import KioskConfig
from tests.device_app import sample
from tests.device_app.browser.test_access import SCREENSHOTS, keep
from tests.device_app.browser.viewing import plain, watched
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
PIN = "492741"
MOST_TABS = 150


class Hands(Protocol):
    """How somebody reaches what is on the screen."""

    name: str

    def press(self, target: Any) -> None:
        """A button, a link, a choice, a summary."""

    def write(self, target: Any, text: str) -> None:
        """Into a field."""

    def give(self, picture: dict[str, Any]) -> None:
        """Choose a file on the first page."""


class Fingers:
    """A touch screen."""

    name = "touch"

    def __init__(self, page: Any) -> None:
        self._page = page

    def press(self, target: Any) -> None:
        target.first.tap()

    def write(self, target: Any, text: str) -> None:
        target.first.tap()
        self._page.keyboard.type(text)

    def give(self, picture: dict[str, Any]) -> None:
        with self._page.expect_file_chooser() as chooser:
            self._page.locator("#drop").tap()
        chooser.value.set_files([picture])


class Keys:
    """Tab, Enter, space and arrows; what cannot be reached so, cannot be used."""

    name = "keyboard"

    def __init__(self, page: Any) -> None:
        self._page = page

    def press(self, target: Any) -> None:
        kind = target.first.evaluate("(e) => e.type || e.tagName.toLowerCase()")
        if kind == "radio":
            self._choose(target)
        else:
            self._reach(target)
            self._page.keyboard.press("Enter")

    def write(self, target: Any, text: str) -> None:
        self._reach(target)
        self._page.keyboard.type(text)

    def give(self, picture: dict[str, Any]) -> None:
        self._reach(self._page.locator("#picture"))
        with self._page.expect_file_chooser() as chooser:
            self._page.keyboard.press("Space")
        chooser.value.set_files([picture])

    def _choose(self, target: Any) -> None:
        """Of radio buttons one can be reached, arrows lead to the others."""
        name = target.first.get_attribute("name")
        group = self._page.locator(f'input[name="{name}"]')
        self._tab(lambda: bool(self._page.evaluate("(n) => document.activeElement?.name === n", name)))
        for _press in range(group.count() + 1):
            if target.first.is_checked():
                return
            self._page.keyboard.press("ArrowDown")
        if not target.first.is_checked():
            self._page.keyboard.press("Space")
        assert target.first.is_checked()

    def _reach(self, target: Any) -> None:
        self._tab(lambda: bool(target.first.evaluate("(e) => document.activeElement === e")))

    def _tab(self, there: Any) -> None:
        for _press in range(MOST_TABS):
            if there():
                return
            self._page.keyboard.press("Tab")
        raise AssertionError("the keyboard does not lead there")


@pytest.fixture
def novice_kiosk(tmp_path: Path, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    running = Kiosk(KioskConfig(kiosk_bundle, tmp_path / "data", trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, novice_kiosk: Kiosk) -> Iterator[Any]:
    """Requests to other hosts and errors of scripts fail the test."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, accept_downloads=True, locale="en-GB"
    )
    troubles: list[str] = []
    yield watched(context.new_page(), novice_kiosk, troubles)
    context.close()
    assert not troubles


@pytest.mark.parametrize("kind", [Fingers, Keys])
def test_somebody_new_does_all_of_it(page: Any, novice_kiosk: Kiosk, kind: Any) -> None:
    page.on("filechooser", lambda _chooser: None)  # from now on choosers are caught, not shown
    hands: Hands = kind(page)
    times: dict[str, float] = {}
    began = time.monotonic()
    page.goto(novice_kiosk.address)
    for part in (set_up, read_one, look_closely, say_what_it_was, take_it_along, add_a_view, find_it_again):
        started = time.monotonic()
        part(page, hands)
        keep(page, f"novice-{hands.name}-{part.__name__}")
        times[part.__name__] = time.monotonic() - started
    times["all"] = time.monotonic() - began
    if SCREENSHOTS:
        (Path(SCREENSHOTS) / f"novice-{hands.name}.json").write_text(json.dumps(times, indent=2))


def set_up(page: Any, hands: Hands) -> None:
    """From the first page of a new box to a test picture that was read."""
    hands.press(page.get_by_role("link", name="Set it up"))
    hands.press(page.get_by_role("link", name="Begin"))
    hands.press(page.get_by_role("radio", name="English"))
    hands.press(page.get_by_role("button", name="Store and go on"))
    hands.write(page.get_by_label("Name of the clinic"), "Lake Clinic")
    hands.press(page.get_by_role("button", name="Store and go on"))
    hands.write(page.get_by_label("Your name"), "Asha N.")
    hands.write(page.get_by_label("New PIN, 6 to 12 digits"), PIN)
    hands.write(page.get_by_label("The same PIN again"), PIN)
    hands.press(page.get_by_role("button", name="Store and go on"))
    hands.press(page.get_by_role("button", name="The date is right"))
    page.get_by_text("passed the self-test").first.wait_for()
    hands.press(page.get_by_role("button", name="Go on"))
    page.get_by_role("heading", name="Where pictures come from").wait_for()
    hands.press(page.get_by_role("button", name="Go on"))
    hands.press(page.get_by_role("button", name="Read the test picture"))
    page.get_by_text("That is right: the box works.").wait_for()
    hands.press(page.get_by_role("link", name="Read pictures now"))
    page.locator("#picture").wait_for(state="attached")


def read_one(page: Any, hands: Hands) -> None:
    """A patient's picture with its body part, from the file to what to do next."""
    hands.write(page.get_by_label("Patient number or name"), "B 204")
    hands.press(page.locator("#facts > summary"))
    hands.press(page.get_by_role("radio", name="forearm"))
    hands.give(plain(sample.FRACTURE, 301))
    page.wait_for_url("**/examinations/**")
    page.get_by_role("heading", name="Fracture suspected").wait_for()
    assert page.get_by_text("Keep the injured part still").is_visible()


def look_closely(page: Any, hands: Hands) -> None:
    """Enlarge, change the light, hide the marked place and show it again."""
    hands.press(page.get_by_role("button", name="Closer"))
    hands.press(page.get_by_role("button", name="Light"))
    page.locator(".viewer-gray").first.wait_for()
    hands.press(page.get_by_role("button", name="Light"))
    mark = page.get_by_role("button", name="Suspected place")
    hands.press(mark)
    assert mark.get_attribute("aria-pressed") == "false" and not page.locator("rect.box").first.is_visible()
    hands.press(mark)
    assert page.locator("rect.box").first.is_visible()


def say_what_it_was(page: Any, hands: Hands) -> None:
    """What it was in the end."""
    form = page.locator("form", has=page.get_by_text("What was it?"))
    hands.press(page.locator("summary", has_text="Say what it was in the end"))
    hands.press(form.get_by_role("radio", name="Fracture", exact=True))
    hands.press(form.get_by_role("button", name="Store"))
    page.get_by_text("In the end: Fracture").wait_for()


def take_it_along(page: Any, hands: Hands) -> None:
    """The report, on paper and as a file."""
    hands.press(page.get_by_role("link", name="Report"))
    page.wait_for_url("**/report/")
    assert page.get_by_text("AI result, not a diagnosis").first.is_visible()
    address = page.get_by_role("link", name="PDF").first.get_attribute("href")
    answer = page.request.get(f"{page.url.split('/examinations')[0]}{address}")
    assert answer.ok and answer.body().startswith(b"%PDF-")
    page.go_back()


def add_a_view(page: Any, hands: Hands) -> None:
    """A second picture from another side: one answer for both."""
    hands.press(page.get_by_role("link", name="Add another view"))
    hands.give(plain(sample.NONE, 302))
    page.wait_for_url("**/examinations/**")
    page.locator("article").nth(1).wait_for()
    page.wait_for_selector("[data-state]", state="detached")
    assert page.get_by_text("all 2 views together").is_visible()


def find_it_again(page: Any, hands: Hands) -> None:
    """In the history, by its number."""
    hands.press(page.get_by_role("link", name="History"))
    hands.press(page.get_by_role("link", name="B 204"))
    page.locator("#whole").wait_for()
