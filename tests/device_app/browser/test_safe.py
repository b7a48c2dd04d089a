"""A box in safe mode in a real browser: three sizes, axe, by keyboard, and mended at the screen."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.language import LANGUAGES, direction
from device_app.store import open_store, prepare_store
from tests.device_app import broken
from tests.device_app.browser.test_languages import english_left, fits
from tests.device_app.browser.viewing import PANELS, keep
from tests.device_app.test_serve import Kiosk

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser
PIN = "574038"
SMALLEST_TARGET_PX = 44


def damaged_config(folder: Path, bundle: Path, trust: Path) -> KioskConfig:
    """Two pictures, an administrator, and rows that are gone."""
    config = KioskConfig(bundle, folder / "data", trust=(trust,))
    broken.kiosk_with_pictures(config)
    prepare_store(config)
    store = open_store(config)
    People(store.database).add("Ada", Role.ADMINISTRATOR, PIN, "box")
    broken.settled(store, config.data_dir)
    connection = broken.connection_of(config.data_dir)
    connection.execute("DELETE FROM examinations WHERE id = 1")
    connection.commit()
    connection.close()
    return config


@pytest.fixture
def safe_kiosk(tmp_path: Path, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    running = Kiosk(damaged_config(tmp_path, kiosk_bundle, kiosk_keys[1]))
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, safe_kiosk: Kiosk) -> Iterator[Any]:
    """A page that fails its test for a request to another host and for an error of a script."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("request", lambda one: one.url.startswith(safe_kiosk.address) or troubles.append(one.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    yield opened
    context.close()
    assert not troubles


def test_it_speaks_every_language_and_nothing_is_left_in_english(chromium: Any, safe_kiosk: Kiosk) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for language in LANGUAGES:
        context = chromium.new_context(
            locale=language, bypass_csp=True, viewport={"width": 390, "height": 844}
        )
        opened = context.new_page()
        opened.goto(safe_kiosk.address)
        opened.locator("[data-looked]:not([data-looked='0'])").wait_for()
        keep(opened, f"{language}-safe")
        found = opened.evaluate("[document.documentElement.lang, document.documentElement.dir]")
        assert found == [language, direction(language)]
        assert fits(opened) and axe.Axe().run(opened).response["violations"] == [], language
        if language != "en":
            assert not english_left(language, opened.locator("body").inner_text())
        context.close()


@pytest.mark.parametrize("panel", PANELS)
def test_nothing_is_cut_off_every_target_is_large_and_axe_finds_nothing(
    page: Any, safe_kiosk: Kiosk, panel: str
) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    page.goto(safe_kiosk.address)
    page.get_by_text("Reading program: its own test: in order").wait_for()
    keep(page, f"safe-{panel}")
    says = page.get_by_role("heading", name="The box cannot read pictures now.").bounding_box()
    assert says["y"] + says["height"] < height
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for target in page.locator("main button, main select, main input:not([type=hidden])").all():
        assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_administrator_mends_it_at_the_screen_and_the_kiosk_comes_back(
    page: Any, safe_kiosk: Kiosk
) -> None:
    page.goto(safe_kiosk.address + "/history")
    page.get_by_label("Who are you?").select_option(label="Ada")
    page.get_by_label("PIN of an administrator, or the code").fill("111222")
    page.get_by_role("button", name="Mend the database").click()
    page.get_by_text("Nothing was changed.").wait_for()
    sync_api.expect(page.get_by_text("Nothing was changed.")).to_be_in_viewport(ratio=1)
    keep(page, "safe-wrong")
    page.get_by_label("PIN of an administrator, or the code").fill(PIN)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The database was mended.").wait_for()
    keep(page, "safe-mended")
    page.get_by_role("button", name="Start the kiosk now").click()
    page.get_by_role("link", name="History").click()
    page.locator(".row").nth(1).wait_for()


def test_without_scripts_it_is_mended_too(chromium: Any, safe_kiosk: Kiosk) -> None:
    context = chromium.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.set_default_timeout(60_000)
    bare.goto(safe_kiosk.address)
    bare.get_by_label("Who are you?").select_option(label="Ada")
    bare.get_by_label("PIN of an administrator, or the code").fill(PIN)
    bare.get_by_role("button", name="Mend the database").click()
    bare.get_by_role("heading", name="The database was mended.").wait_for()
    context.close()
