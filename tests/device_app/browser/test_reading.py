"""A reader at work: her own reading first, a second one after the answer, the figures; touch and keys."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from tests.device_app import sample
from tests.device_app.browser.test_access import PANELS, become_administrator, keep
from tests.device_app.browser.viewing import watched
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
RESULT = "article:not(.result-working)"


@pytest.fixture
def reading_kiosk(tmp_path: Path, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    running = Kiosk(KioskConfig(kiosk_bundle, tmp_path / "data", trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, reading_kiosk: Kiosk) -> Iterator[Any]:
    """Somebody signed in, at a box that shows its answer after her own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True)
    troubles: list[str] = []
    opened = watched(context.new_page(), reading_kiosk, troubles)
    become_administrator(opened, reading_kiosk)
    opened.get_by_role("radio", name="After whoever looks has said what she sees").tap()
    with opened.expect_navigation():
        opened.get_by_role("button", name="Store").tap()
    yield opened
    context.close()
    assert not troubles


def send(page: Any, kiosk: Kiosk, gap: float, seed: int) -> None:
    page.goto(kiosk.address)
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": sample.picture(gap, seed)}
    page.locator("#picture").set_input_files(picture)
    page.get_by_role("heading", name="Your reading first").wait_for()


def test_her_own_then_the_answer_then_a_second_thought_by_touch(page: Any, reading_kiosk: Kiosk) -> None:
    send(page, reading_kiosk, sample.FRACTURE, 51)
    assert page.locator("rect.box").count() == 0 and page.get_by_text("Fracture suspected").count() == 0
    page.get_by_role("radio", name="No fracture").tap()
    page.get_by_role("button", name="Store and show the box's answer").tap()
    page.get_by_role("heading", name="Fracture suspected").wait_for()
    assert page.locator("rect.box").is_visible()
    assert page.get_by_text("Before the box's answer: No fracture").is_visible()
    page.get_by_text("Say what you think of it").tap()
    page.get_by_role("radio", name="Fracture as the box").tap()
    page.get_by_label("Remark").fill("radius, distal third")
    page.get_by_role("button", name="Store").first.tap()
    page.get_by_text("Second reading: Fracture").wait_for()
    assert page.get_by_text("radius, distal third").is_visible()
    page.goto(f"{reading_kiosk.address}/agreement")
    row = page.locator("dt", has_text="Mind changed").locator("xpath=following-sibling::dd[1]")
    assert row.inner_text() == "nothing yet"  # one reading must not be seen in it where people read first


def test_her_own_places_are_drawn_without_the_boxs_and_kept(page: Any, reading_kiosk: Kiosk) -> None:
    send(page, reading_kiosk, sample.FRACTURE, 54)
    assert "Take the box" not in page.content()
    page.get_by_role("button", name="Mark on the picture").tap()
    page.get_by_role("button", name="New", exact=True).tap()
    page.locator(".place-drawn").wait_for()
    assert page.locator(".place-drawn").count() == 1
    keep(page, "reading-own-place")
    page.get_by_role("radio", name="Not sure").tap()
    page.get_by_role("button", name="Store and show the box's answer").tap()
    page.get_by_role("heading", name="Fracture suspected").wait_for()
    row = page.locator(".said > li").first
    assert "Before the box's answer: Not sure" in row.inner_text() and "Place 1: middle" in row.inner_text()
    row.get_by_role("button", name="On the picture: 1 place").tap()
    assert page.locator("rect.box").count() == 1
    page.locator(".place-said").wait_for()


def test_her_own_by_keyboard_alone_and_the_history_keeps_silent_until_then(
    page: Any, reading_kiosk: Kiosk
) -> None:
    send(page, reading_kiosk, sample.FRACTURE, 52)
    page.goto(f"{reading_kiosk.address}/history")
    row = page.locator(".row").first
    assert "Your reading first" in row.inner_text() and "Fracture" not in row.inner_text()
    row.press("Enter")
    page.get_by_role("radio", name="Not sure").press("Space")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Fracture suspected").wait_for()


@pytest.mark.parametrize("panel", PANELS)
def test_axe_finds_nothing_and_nothing_is_cut_off(page: Any, reading_kiosk: Kiosk, panel: str) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    send(page, reading_kiosk, sample.FRACTURE, 53)
    for step in ("first", "answer", "agreement"):
        if step == "answer":
            page.get_by_role("radio", name="No fracture").check()
            page.get_by_role("button", name="Store and show").click()
            page.get_by_text("Say what you think of it").click()
        if step == "agreement":
            page.goto(f"{reading_kiosk.address}/agreement")
        keep(page, f"{panel}-reading-{step}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
        found = Axe().run(page)
        assert found.violations_count == 0, f"{step}: {found.generate_report()}"
