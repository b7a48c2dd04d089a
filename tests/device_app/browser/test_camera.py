"""A film photographed with the tablet, in a real browser: the page, its result, and a photograph refused."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.device_app import sample
from tests.device_app.browser.viewing import PANELS, RESULT, keep
from tests.device_app.photographs import SHAKEN, photograph
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
SMALLEST_TARGET_PX = 44


def shot(data: bytes) -> dict[str, Any]:
    """As a tablet's camera hands it over."""
    return {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": data}


def take(page: Any, kiosk: Kiosk, data: bytes, label: str) -> None:
    page.goto(kiosk.address)
    page.get_by_role("link", name="Photograph the film").tap()
    page.get_by_label("Patient number or name").fill(label)
    page.locator("#picture").set_input_files(shot(data))
    page.wait_for_selector(RESULT)


def test_a_film_is_photographed_and_its_break_marked_on_the_straightened_picture(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    take(viewer_page, viewer_kiosk, photograph(sample.FRACTURE, seed=51), "Film 51")

    assert viewer_page.get_by_role("heading", name="Fracture suspected").is_visible()
    assert viewer_page.locator(".stamp").get_by_text("Photograph of a film").is_visible()
    assert viewer_page.locator("rect.box").first.is_visible()
    assert viewer_page.get_by_text("Read from a photograph of a film").is_visible()
    keep(viewer_page, "camera-result")


def test_a_shaken_photograph_is_shown_and_taken_again_for_the_same_patient(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    take(viewer_page, viewer_kiosk, photograph(sample.FRACTURE, seed=52, scene=SHAKEN), "Film 52")

    assert viewer_page.get_by_text("The photograph is blurred or shaken.").is_visible()
    keep(viewer_page, "camera-refused")
    viewer_page.get_by_role("link", name="Take the photograph again").tap()
    viewer_page.wait_for_selector("#upload")
    assert viewer_page.get_by_label("Patient number or name").input_value() == "Film 52"


def test_without_scripts_the_form_sends_it_too(chromium: Any, viewer_kiosk: Kiosk) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{viewer_kiosk.address}/photograph")
    page.locator("#picture").set_input_files(shot(photograph(sample.NONE, seed=53)))
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_selector(RESULT)
    assert page.get_by_role("heading", name="No fracture found").is_visible()
    context.close()


@pytest.mark.skipif(
    importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
)
@pytest.mark.parametrize("panel", PANELS)
def test_nothing_to_complain_of_on_any_panel(chromium: Any, viewer_kiosk: Kiosk, panel: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    context = chromium.new_context(viewport={"width": width, "height": height}, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{viewer_kiosk.address}/photograph")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for target in page.locator("main a, main button, main summary, label.drop, #patient_label").all():
        shape = target.bounding_box()
        assert shape is None or not target.is_visible() or shape["height"] >= SMALLEST_TARGET_PX
    keep(page, f"camera-{panel}")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    keep(page, f"camera-{panel}-below")
    context.close()
