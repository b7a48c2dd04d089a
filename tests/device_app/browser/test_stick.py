"""Pictures from a stick in a real browser: a notice that comes by itself, choosing by touch and by keys."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.store import prepare_store
from tests.device_app import sample
from tests.device_app.browser.conftest import kiosk_with_sticks
from tests.device_app.intake.test_stick import Slot, put

pytestmark = pytest.mark.browser
PANELS = {"wide": (1280, 800), "small": (800, 480), "phone": (390, 844)}
SMALLEST_TARGET_PX = 48
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")
LONG_NAME = "1.2.826.0.1.3680043.8.1055.1.20111103111148288.98361414.79379639.dcm"


@pytest.fixture
def address(config: KioskConfig, slot: Slot) -> Iterator[str]:
    """A kiosk that looks for sticks in a folder; no picture is read in it."""
    prepare_store(config)
    with kiosk_with_sticks(config, slot) as address:
        yield address


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """A page that fails its test for a request to another host or a script error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(15_000)
    opened.on("request", lambda one: one.url.startswith(address) or troubles.append(one.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    yield opened
    context.close()
    assert not troubles


def fill(slot: Slot) -> None:
    stick = slot.plug("CLINIC 3")
    for number, name in enumerate(("hand.png", "wrist.png", f"study/series/{LONG_NAME}")):
        put(stick, name, sample.picture(sample.NONE, number))


def test_a_stick_is_noticed_and_two_pictures_are_taken_by_touch(page: Any, address: str, slot: Slot) -> None:
    page.goto(address)
    assert not page.get_by_text("A USB stick is plugged in").is_visible()
    fill(slot)
    page.get_by_role("link", name="Choose pictures from it").tap()  # once the page has renewed itself
    page.get_by_label("Patient number or name").fill("P 12")
    page.locator(".choice", has_text="hand.png").tap()
    page.locator(".choice", has_text=LONG_NAME).tap()
    page.get_by_role("button", name="Take in the chosen pictures").tap()
    page.locator(".outcome-ok").nth(1).wait_for()
    assert page.locator(".outcome-ok").count() == 2
    keep(page, "stick-taken")
    page.get_by_role("link", name="Show result").first.tap()
    page.get_by_text("P 12").first.wait_for()


def test_pictures_are_chosen_by_keyboard_alone(page: Any, address: str, slot: Slot) -> None:
    fill(slot)
    page.goto(address)
    page.get_by_role("link", name="Choose pictures from it").press("Enter")
    page.get_by_role("checkbox", name="wrist.png").press("Space")
    page.get_by_role("button", name="Take in the chosen pictures").press("Enter")
    page.locator(".outcome-ok", has_text="wrist.png").wait_for()


def test_nothing_is_ticked_any_more_after_going_back(page: Any, address: str, slot: Slot) -> None:
    fill(slot)
    page.goto(address)
    page.get_by_role("link", name="Choose pictures from it").tap()
    page.get_by_label("Patient number or name").fill("P 12")
    page.locator(".choice", has_text="hand.png").tap()
    page.get_by_role("button", name="Take in the chosen pictures").tap()
    page.locator(".outcome-ok").wait_for()
    page.go_back()
    page.locator(".choice", has_text="hand.png").wait_for()
    assert page.locator("input[name=file]:checked").count() == 0
    assert page.get_by_label("Patient number or name").input_value() == ""


@pytest.mark.parametrize("panel", PANELS)
def test_nothing_is_cut_off_and_every_target_is_large(
    page: Any, address: str, slot: Slot, panel: str
) -> None:
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    fill(slot)
    page.goto(address)
    page.get_by_role("link", name="Choose pictures from it").wait_for()
    for where in (address, f"{address}/stick", f"{address}/box"):
        page.goto(where)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        for target in page.locator("main a:visible, main button:visible, main .choice:visible").all():
            assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()
    page.goto(f"{address}/stick")
    keep(page, f"stick-{panel}")


def test_axe_finds_nothing(page: Any, address: str, slot: Slot) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    fill(slot)
    page.goto(address)
    page.get_by_role("link", name="Choose pictures from it").wait_for()
    for where in (address, f"{address}/stick"):
        page.goto(where)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def keep(page: Any, name: str) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)
