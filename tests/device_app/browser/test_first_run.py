"""A new box set up by touch, then by keyboard; every step at every size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.first_run import STEPS
from tests.device_app.browser.test_access import PANELS, keep
from tests.device_app.browser.viewing import watched
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser


@pytest.fixture
def new_kiosk(tmp_path: Path, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    running = Kiosk(KioskConfig(kiosk_bundle, tmp_path / "data", trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, new_kiosk: Kiosk) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True)
    troubles: list[str] = []
    yield watched(context.new_page(), new_kiosk, troubles)
    context.close()
    assert not troubles


def test_from_the_first_page_to_a_picture_that_was_read_by_touch(page: Any, new_kiosk: Kiosk) -> None:
    page.goto(new_kiosk.address)
    page.get_by_role("link", name="Set it up").tap()
    page.get_by_role("link", name="Begin").tap()
    page.get_by_role("radio", name="English").tap()
    page.get_by_role("button", name="Store and go on").tap()
    page.get_by_label("Name of the clinic").fill("Lake Clinic")
    page.get_by_role("button", name="Store and go on").tap()
    page.get_by_label("Your name").fill("Asha N.")
    page.get_by_label("New PIN, 6 to 12 digits").fill("492741")
    page.get_by_label("The same PIN again").fill("492741")
    page.get_by_role("button", name="Store and go on").tap()
    page.get_by_role("button", name="The date is right").tap()
    page.get_by_text("passed the self-test").first.wait_for()
    page.get_by_role("button", name="Go on").tap()
    page.get_by_role("button", name="Go on").tap()
    page.get_by_role("button", name="Read the test picture").tap()
    page.get_by_text("That is right: the box works.").wait_for()
    with page.expect_navigation():
        page.get_by_role("link", name="All steps").tap()
    assert page.locator(".step-done").count() == len(STEPS)


def test_all_of_it_can_be_left_out_by_keyboard(page: Any, new_kiosk: Kiosk) -> None:
    page.goto(f"{new_kiosk.address}/first/{STEPS[0]}")
    for _step in STEPS[1:]:
        page.get_by_role("link", name="Leave this out").focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
    page.get_by_role("link", name="Read pictures now").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("#picture").count() == 1


@pytest.mark.parametrize("panel", PANELS)
def test_every_step_passes_axe_and_fits(page: Any, new_kiosk: Kiosk, panel: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    for step in ("", *STEPS):
        page.goto(f"{new_kiosk.address}/first/{step}")
        keep(page, f"first-{step or 'all'}-{panel}")
        assert axe.Axe().run(page).response["violations"] == [], step
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
