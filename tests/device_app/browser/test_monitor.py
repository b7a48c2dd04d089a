"""The page that says whether the box can be trusted, in a real browser: three sizes, no scripts, and axe."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.store import open_store, prepare_store
from runtime.bundle import open_bundle
from runtime.trust import TrustStore
from tests.device_app.browser.viewing import PANELS, keep
from tests.device_app.monitoring.sites import MONDAY, Made, fill
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
SMALLEST_TARGET_PX = 48
PATH = "/box/watch/"


@pytest.fixture(scope="module")
def changed_site(tmp_path_factory: Any, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    """A kiosk whose pictures have changed after a year's third."""
    config = KioskConfig(kiosk_bundle, tmp_path_factory.mktemp("kiosk") / "data", trust=(kiosk_keys[1],))
    digest = open_bundle(kiosk_bundle, TrustStore.from_paths(kiosk_keys[1])).digest
    prepare_store(config)
    store = open_store(config)
    fill(store, Made(weeks=16, pictures=120, bundle=digest))
    change = {"shift": -1.0, "refused": 0.2, "failed": 4, "seed": 1}
    fill(store, Made(weeks=4, pictures=120, start=MONDAY + timedelta(weeks=16), bundle=digest, **change))  # type: ignore[arg-type]
    store.close()
    running = Kiosk(config)
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, changed_site: Kiosk) -> Iterator[Any]:
    """A page that fails its test for a request to another host, a console error or a script error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("request", lambda one: one.url.startswith(changed_site.address) or troubles.append(one.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda one: one.type == "error" and troubles.append(one.text))
    yield opened
    context.close()
    assert not troubles


def open_page(page: Any, kiosk: Kiosk) -> None:
    page.goto(kiosk.address + PATH)
    for summary in page.locator("main summary").all():
        summary.click()


def test_one_look_says_that_it_is_not_to_be_relied_on_and_why(page: Any, changed_site: Kiosk) -> None:
    page.goto(f"{changed_site.address}/box")
    page.get_by_role("link", name="Can the box be trusted?").click()
    page.get_by_role("heading", name="Do not rely on the box now.").wait_for()
    verdict = page.locator(".verdict").bounding_box()
    assert verdict["y"] + verdict["height"] < 800
    assert page.locator(".reasons").get_by_text("The box may miss fractures.").is_visible()
    assert page.locator(".chart svg").count() == 3


def test_what_is_drawn_is_drawn_without_scripts_too(chromium: Any, changed_site: Kiosk) -> None:
    context = chromium.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(changed_site.address + PATH)
    assert bare.locator(".chart-point").count() == 40 and bare.locator(".chart-bar").count() == 20
    context.close()


@pytest.mark.parametrize("panel", PANELS)
def test_nothing_is_cut_off_every_target_is_large_and_axe_finds_nothing(
    page: Any, changed_site: Kiosk, panel: str
) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, changed_site)
    keep(page, f"monitor-{panel}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for target in page.locator("main a, main button, main summary").all():
        assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
