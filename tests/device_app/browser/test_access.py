"""Whoever looks after the box: from no PIN at all to people, settings and a log, by touch and by keyboard."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.guard import SAFE_MODE
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
PANELS = {"wide": (1280, 800), "small": (800, 480), "phone": (390, 844)}
SMALLEST_TARGET_PX = 48
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")
TARGETS = "a, button, select, .choice, input:not([type=radio], [type=hidden])"
PATHS = ("/sign-in/", "/settings/", "/people/", "/log/", "/box")


@pytest.fixture
def kiosk(tmp_path: Path, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    running = Kiosk(KioskConfig(kiosk_bundle, tmp_path / "data", trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, kiosk: Kiosk) -> Iterator[Any]:
    """A page that fails its test for a request to another host, a console error or a script error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(15_000)
    opened.on("request", lambda one: one.url.startswith(kiosk.address) or troubles.append(one.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    yield opened
    context.close()
    assert not troubles


def become_administrator(page: Any, kiosk: Kiosk) -> None:
    page.goto(f"{kiosk.address}/sign-in/")
    page.get_by_label("Your name").fill("Asha N.")
    page.get_by_label("New PIN, 6 to 12 digits").fill("492741")
    page.get_by_label("The same PIN again").fill("492741")
    page.get_by_role("button", name="Begin").tap()
    page.wait_for_url("**/settings/")


def add_somebody(page: Any, kiosk: Kiosk, name: str, pin: str) -> None:
    page.goto(f"{kiosk.address}/people/")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("radio", name="Judges pictures too").tap()
    page.get_by_label("New PIN, 6 to 12 digits").fill(pin)
    page.get_by_label("The same PIN again").fill(pin)
    page.get_by_role("button", name="Add").tap()
    page.locator(".one", has_text=name).wait_for()


def keep(page: Any, name: str) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


def test_from_no_pin_to_people_settings_and_a_checked_log_by_touch(page: Any, kiosk: Kiosk) -> None:
    become_administrator(page, kiosk)
    page.get_by_label("Name of the clinic").fill("Kibera South Clinic")
    page.get_by_role("radio", name="People with a PIN only").tap()
    page.get_by_role("button", name="Store").tap()
    page.locator(".clinic", has_text="Kibera South Clinic").wait_for()
    add_somebody(page, kiosk, "Bola", "830271")
    page.get_by_role("button", name="Sign out").tap()
    page.wait_for_url("**/sign-in/**")  # this kiosk asks everybody now
    page.get_by_role("radio", name="Bola").tap()
    page.get_by_label("PIN").fill("000000")
    page.get_by_role("button", name="Sign in").tap()
    page.get_by_role("alert").get_by_text("This PIN is wrong.").wait_for()
    keep(page, "sign-in-wrong")
    page.get_by_label("PIN").fill("830271")
    page.get_by_role("button", name="Sign in").tap()
    page.get_by_role("heading", name="Read an X-ray picture").wait_for()
    assert page.get_by_text("Signed in: Bola").is_visible()
    page.goto(f"{kiosk.address}/people/")
    assert page.get_by_text("You may not do that here.").is_visible()


def test_the_log_is_checked_with_the_anchor_that_stood_there(page: Any, kiosk: Kiosk) -> None:
    become_administrator(page, kiosk)
    page.goto(f"{kiosk.address}/log/")
    page.get_by_label("Anchor that was written down before").fill(page.locator("p .digest").inner_text())
    page.get_by_role("button", name="Check the log").tap()
    page.get_by_role("heading", name="The log is whole.").wait_for()
    keep(page, "log-whole")


def test_a_name_and_a_pin_by_keyboard_alone(page: Any, kiosk: Kiosk) -> None:
    become_administrator(page, kiosk)
    add_somebody(page, kiosk, "Bola", "830271")
    page.get_by_role("button", name="Sign out").press("Enter")
    page.goto(f"{kiosk.address}/box")
    page.get_by_role("link", name="Sign in").press("Enter")
    page.get_by_role("radio", name="Bola").press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("830271")
    page.keyboard.press("Enter")
    page.get_by_text("Signed in: Bola").wait_for()
    assert page.url == f"{kiosk.address}/box"


@pytest.mark.parametrize("panel", PANELS)
def test_nothing_is_cut_off_every_target_is_large_and_axe_finds_nothing(
    page: Any, kiosk: Kiosk, panel: str
) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    become_administrator(page, kiosk)
    add_somebody(page, kiosk, "Wolfeschlegelsteinhausenbergerdorff III", "830271")
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    own_pin = page.get_by_role("link", name="Change PIN").get_attribute("href")
    for path in (*PATHS, own_pin):
        page.goto(kiosk.address + path)
        keep(page, f"{panel}-{path.split('/')[1]}-{path.count('/')}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        for target in page.locator(
            "a, button, select, .choice, input:not([type=radio], [type=hidden])"
        ).all():
            shape = target.bounding_box()
            if shape is not None and shape["x"] >= 0 and target.is_visible():
                assert shape["height"] >= SMALLEST_TARGET_PX, (path, target.inner_text())
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"


SPACED = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }"
DOUBLED = """() => {
    const walker = document.createTreeWalker(document.getElementById("main"), NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const one of texts) one.data = `${one.data} ${one.data}`;
}"""


def test_pages_fit_a_narrow_screen_and_texts_twice_as_long(page: Any, kiosk: Kiosk) -> None:
    become_administrator(page, kiosk)
    add_somebody(page, kiosk, "Wolfeschlegelsteinhausenbergerdorff III", "830271")
    for width, path in [(320, path) for path in PATHS] + [(800, path) for path in (*PATHS, "/agreement")]:
        page.set_viewport_size({"width": width, "height": 600})
        page.goto(kiosk.address + path)
        page.add_style_tag(content=SPACED)
        if width > 320:
            page.evaluate(DOUBLED)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, path)


def test_whoever_has_scrolled_down_sees_that_the_box_does_not_answer(page: Any, kiosk: Kiosk) -> None:
    page.set_viewport_size({"width": 390, "height": 400})
    page.goto(f"{kiosk.address}/")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.route("**/box/banner", lambda route: route.fulfill(status=502))
    warning = page.locator("#lost")
    warning.wait_for()
    shape = warning.bounding_box()
    assert page.evaluate("scrollY") > 0 and 0 <= shape["y"] < 400


def test_a_page_that_is_open_while_the_box_comes_up_in_safe_mode_leads_to_what_is_wrong(
    page: Any, kiosk: Kiosk
) -> None:
    page.goto(f"{kiosk.address}/")
    page.route("**/box/banner", lambda route: route.fulfill(status=503, headers={SAFE_MODE: "1"}))
    page.locator("#stopped").get_by_role("link").wait_for()
    assert not page.locator("#lost").is_visible() and not page.locator("#banner .pill").is_visible()
    page.unroute("**/box/banner")
    page.locator("#stopped").wait_for(state="hidden")
    page.locator("#banner .pill").wait_for()
