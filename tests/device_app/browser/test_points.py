"""The limits of a clinic in a real browser: proposal, form, confirmation, result; three sizes and axe."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.store import open_store, prepare_store
from runtime.bundle import Bundle, open_bundle
from runtime.trust import TrustStore
from tests.device_app import sample
from tests.device_app.browser.test_access import become_administrator, keep
from tests.device_app.browser.viewing import PANELS, watched
from tests.device_app.site_points.made import Seen, clinic, expected, fill
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
SMALLEST_TARGET_PX = 44
PATH = "/box/limits/"


@pytest.fixture(scope="module")
def tested_bundle(tmp_path_factory: Any, kiosk_keys: Any) -> Bundle:
    """Whose maker found 90 of 100 fractures."""
    root = tmp_path_factory.mktemp("bundle") / "gap-finder"
    return sample.make_bundle(root, kiosk_keys[0], expected=expected(sample.POINTS))


@pytest.fixture
def missing_clinic(tmp_path: Path, tested_bundle: Bundle, kiosk_keys: Any) -> Iterator[Kiosk]:
    """Where the box misses more fractures than its maker's test says."""
    config = KioskConfig(tested_bundle.root, tmp_path / "data", trust=(kiosk_keys[1],))
    digest = open_bundle(tested_bundle.root, TrustStore.from_paths(kiosk_keys[1])).digest
    prepare_store(config)
    store = open_store(config)
    seen = [*clinic(120, 300, 0.75, sample.POINTS, seed=3), *(Seen((0.02,)) for _ in range(60))]
    fill(store, digest, sample.POINTS, [*seen, Seen((0.5,), "second", True)])
    store.close()
    running = Kiosk(config)
    yield running
    running.end()


@pytest.fixture
def page(chromium: Any, missing_clinic: Kiosk) -> Iterator[Any]:
    """Of the administrator; fails its test for a request to another host or an error of a script."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True)
    troubles: list[str] = []
    opened = watched(context.new_page(), missing_clinic, troubles)
    become_administrator(opened, missing_clinic)
    opened.goto(missing_clinic.address + "/box")
    opened.locator(".pill-ready").wait_for()
    yield opened
    context.close()
    assert not troubles


def check(page: Any, name: str) -> None:
    """Sizes, targets and axe, at every panel."""
    from axe_playwright_python.sync_playwright import Axe

    for panel, (width, height) in PANELS.items():
        page.set_viewport_size({"width": width, "height": height})
        keep(page, f"{name}-{panel}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), panel
        targets = "main a, main button, main summary, main select, main textarea, main label.tick"
        for target in page.locator(targets).locator("visible=true").all():
            assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_from_the_proposal_to_other_limits_and_back_by_touch(page: Any, missing_clinic: Kiosk) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    page.get_by_role("link", name="Limits of this clinic").tap()
    page.get_by_role("heading", name="The box misses more fractures here").wait_for()
    assert page.locator(".chart svg").count() == 2 and page.locator(".mark-proposed").count() == 1
    page.get_by_text("The same as numbers").tap()
    check(page, "points")
    page.set_viewport_size({"width": 800, "height": 480})
    page.get_by_role("link", name="Put the proposed limits into the form").tap()
    assert "proposed" in page.locator("#sensitive option:checked").inner_text()
    assert "Fractures found:" in page.locator("#says-sensitive").inner_text()
    page.get_by_label("Why?").fill("The box misses too many here.")
    page.get_by_role("button", name="See what would change").tap()
    page.get_by_role("heading", name="No confirmed fracture would become").wait_for()
    check(page, "points-sure")
    for tick in page.locator("label.tick").all():
        tick.tap()
    page.get_by_role("button", name="Change the limits").tap()
    page.get_by_text("What was decided for this model").wait_for()
    assert page.get_by_text("The box misses too many here.").count() == 1
    check(page, "points-changed")
    page.goto(missing_clinic.address + "/examinations/made-0/")
    page.get_by_text("This clinic decides by limits of its own").wait_for()
    check(page, "points-result")
    page.goto(missing_clinic.address + "/agreement")
    check(page, "points-agreement")


def test_limits_that_lose_fractures_say_so_first(page: Any, missing_clinic: Kiosk) -> None:
    page.goto(missing_clinic.address + PATH)
    page.get_by_label("“Doubt” begins at score").select_option("5")
    page.get_by_label("Why?").fill("Fewer false alarms.")
    page.get_by_role("button", name="See what would change").tap()
    page.get_by_role("heading", name="Change the limits?").wait_for()
    first = page.locator("main h2").first.inner_text()
    assert first.startswith("Confirmed fractures that would become “no fracture found”:")
    keep(page, "points-sure-loses")


def test_without_scripts_the_page_says_the_same(page: Any, chromium: Any, missing_clinic: Kiosk) -> None:
    context = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    bare = context.new_page()
    bare.goto(missing_clinic.address + PATH)
    assert bare.locator(".curve").count() == 4
    bare.get_by_label("“Doubt” begins at score").select_option("-5")
    bare.get_by_label("Why?").fill("x")
    bare.get_by_role("button", name="See what would change").click()
    assert bare.get_by_role("button", name="Change the limits").count() == 1
    context.close()
