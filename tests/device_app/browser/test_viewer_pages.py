"""The viewer in its page: beside an earlier picture, while an answer is awaited, without scripts, for all."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from device_app.gray_values import pack, view_facts
from device_app.pictures import screen_png
from device_app.store.files import ImageFiles
from runtime.readers import read_bytes
from tests.device_app import sample
from tests.device_app.browser.viewing import PANELS, RESULT, keep, matrix, scaled, send, settle

pytestmark = pytest.mark.browser
SMALLEST_TARGET_PX = 48
NOTICE = "AI result, not a diagnosis"
TARGETS = "main a, main button, main summary, main input:not([type=hidden])"
_SEEDS = itertools.count(200)


@pytest.fixture(scope="module")
def compared(chromium: Any, viewer_kiosk: Any) -> str:
    """Address of a picture without a finding beside an earlier fracture of the same patient."""
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    send(page, viewer_kiosk, scaled(sample.FRACTURE, next(_SEEDS)), "P 200")
    send(page, viewer_kiosk, scaled(sample.NONE, next(_SEEDS)), "P 200")
    page.locator(".past-one").click()
    page.wait_for_selector(".viewer-earlier")
    address = str(page.url)
    page.close()
    return address


@pytest.fixture
def page(viewer_page: Any, compared: str) -> Any:
    viewer_page.goto(compared)
    viewer_page.locator(".viewer-gray").nth(1).wait_for()
    settle(viewer_page)
    return viewer_page


EARLIER, LATER = ".viewer-earlier", ".viewer:not(.viewer-earlier)"


def click(page: Any, viewer: str, selector: str) -> None:
    page.locator(f"{viewer} {selector}").click()
    settle(page)


def test_an_earlier_picture_is_marked_with_its_date_and_its_own_answer(page: Any) -> None:
    stamp = page.locator(f"{EARLIER} .stamp").inner_text()
    assert stamp.startswith("Earlier: ") and "Fracture suspected" in stamp
    assert page.locator(f"{LATER} .stamp").inner_text().startswith("This picture: ")
    assert page.get_by_role("heading", name="No fracture found").is_visible()
    assert page.get_by_text(NOTICE).is_visible()
    assert page.locator(f"{EARLIER} rect.box").is_visible()
    assert page.locator(f"{LATER} rect.box").count() == 0


def test_both_move_together_until_the_switch_says_otherwise(page: Any) -> None:
    click(page, LATER, "[data-act=closer]")
    click(page, LATER, "[data-act=pan-right]")
    assert matrix(page, EARLIER) == pytest.approx(matrix(page, LATER), abs=0.5)
    click(page, EARLIER, "[data-act=closer]")
    assert matrix(page, EARLIER) == pytest.approx(matrix(page, LATER), abs=0.5)
    click(page, EARLIER, "[data-switch=linked]")
    before = matrix(page, LATER)
    click(page, EARLIER, "[data-act=fit]")
    assert matrix(page, LATER) == before and matrix(page, EARLIER).scale < before.scale
    click(page, EARLIER, "[data-switch=linked]")
    assert matrix(page, EARLIER).scale == pytest.approx(before.scale)


def test_each_has_tools_of_its_own(page: Any) -> None:
    click(page, EARLIER, "[data-switch=ruler]")
    click(page, EARLIER, "[data-act=ruler-other]")
    click(page, LATER, "[data-switch=light]")
    click(page, LATER, "[data-switch=invert]")
    assert page.locator(f"{EARLIER} .ruler-line").count() == 1
    assert page.locator(f"{LATER} .ruler-line").count() == 0
    assert page.locator(f"{EARLIER} [data-switch=invert]").get_attribute("aria-pressed") == "false"
    click(page, EARLIER, "[data-toggle=boxes]")
    assert not page.locator(f"{EARLIER} rect.box").is_visible()
    page.get_by_role("link", name="Stop comparing").click()
    page.wait_for_selector(f"{RESULT} .viewer")
    assert page.locator(EARLIER).count() == 0


def test_without_scripts_both_stand_side_by_side_with_their_places(chromium: Any, compared: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(compared.partition("?")[0])
    bare.locator(".past-one").click()
    assert bare.locator(f"{EARLIER} rect.box").is_visible()
    assert bare.locator("svg.plate image.shown").nth(1).is_visible()
    assert bare.get_by_role("button").count() == 0 and bare.locator(".stage:focus").count() == 0
    bare.get_by_role("link", name="Evidence map").last.click()
    assert bare.locator(f"{EARLIER} image.heat").is_visible()
    context.close()


@contextlib.contextmanager
def stopped_worker(kiosk: Any) -> Iterator[None]:
    """Nothing is read meanwhile."""
    pid = kiosk.health()["reader"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def store_screen(kiosk: Any, data: bytes) -> None:
    """What the worker stores of a picture before it asks the engine."""
    files, radiograph = ImageFiles(kiosk.data), read_bytes(data)
    files.write_derived(radiograph.sha256, "facts", view_facts(radiograph).to_json())
    files.write_derived(radiograph.sha256, "screen", screen_png(radiograph))
    files.write_derived(radiograph.sha256, "values", pack(radiograph.pixels))


def test_the_picture_comes_before_the_answer_and_stays_as_it_was_enlarged(
    viewer_page: Any, viewer_kiosk: Any
) -> None:
    page, picture = viewer_page, scaled(sample.FRACTURE, next(_SEEDS))
    page.goto(viewer_kiosk.address)
    page.locator(".pill-ready").wait_for()
    with stopped_worker(viewer_kiosk):
        page.locator("#picture").set_input_files(picture)
        page.get_by_text("The picture appears here when it has been read.").wait_for()
        page.evaluate("window.stayed = true")
        store_screen(viewer_kiosk, picture["buffer"])
        page.locator("svg.plate image.shown").wait_for()
        assert page.get_by_role("heading", name="Still working").is_visible()
        assert page.locator(".stamp", has_text="Still working").is_visible()
        keep(page, "working")
        page.locator("[data-act=closer]").click()
        enlarged = matrix(page).scale
    page.wait_for_selector(RESULT)
    assert page.evaluate("window.stayed") is True, "the page was loaded anew"
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()
    assert page.locator("#news").inner_text() == "Fracture suspected"
    assert page.title().startswith("Fracture suspected")
    page.wait_for_selector(".viewer-gray")
    assert matrix(page).scale > enlarged * 0.9  # the stage is a little lower or higher than before
    page.get_by_role("button", name="Evidence map").click()
    assert page.locator("image.heat").is_visible() and page.locator("rect.box").is_visible()


def open_everything(page: Any) -> None:
    """Enlarged, with a ruler in the one and the light's sliders in the other."""
    click(page, LATER, "[data-act=closer]")
    click(page, LATER, "[data-switch=light]")
    click(page, EARLIER, "[data-switch=ruler]")
    click(page, EARLIER, "[data-act=ruler-other]")


@pytest.mark.parametrize("panel", PANELS)
def test_targets_are_large_and_nothing_is_cut_off_sideways(page: Any, panel: str) -> None:
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    for name, prepare in (("default", settle), ("full", open_everything)):
        prepare(page)
        keep(page, f"{panel}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for target in page.locator(TARGETS).all():
            shape = target.bounding_box() if target.is_visible() else None
            assert shape is None or shape["height"] >= SMALLEST_TARGET_PX, target.evaluate("e => e.outerHTML")
        stage = page.locator(f"{LATER} .stage").bounding_box()
        assert stage["height"] >= 140, "no room is left for the picture"


@pytest.mark.skipif(
    importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
)
@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("colours", ["none", "active"])
def test_axe_finds_nothing_to_complain_of(chromium: Any, compared: str, panel: str, colours: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        bypass_csp=True,
        forced_colors=colours,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(compared)
    page.locator(".viewer-gray").nth(1).wait_for()
    for name, prepare in (("default", settle), ("full", open_everything)):
        prepare(page)
        keep(page, f"{panel}-{name}-forced-{colours}")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
