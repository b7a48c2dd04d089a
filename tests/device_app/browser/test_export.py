"""The export in a real browser: looked at and let go by touch and by keys, fetched, and put onto a stick."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device_app import KioskConfig
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.store import Store
from device_app.store.consent import Consents
from tests.device_app import sample
from tests.device_app.browser.conftest import kiosk_with_sticks
from tests.device_app.intake.test_stick import Slot

pytestmark = pytest.mark.browser
PANELS = {"wide": (1280, 800), "small": (800, 480), "phone": (390, 844)}
SMALLEST_TARGET_PX = 44
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")
PIN = "574038"


@pytest.fixture
def cases(store: Store, receive: Any, work_off: Any) -> list[str]:
    """Addresses of three examinations; the last has writing over the limb. Patients of all agree."""
    written = sample.forearm(sample.NONE, 3)
    ink = np.zeros(written.shape, np.uint8)
    cv2.putText(ink, "RAHMAN ABDUL", (110, 300), (255, 255, 255), cv2.FontFace("sans"), 26, 400)
    written = np.maximum(written, ink.astype(np.uint16) * 16)
    pictures = [sample.picture(sample.FRACTURE, 1), sample.picture(sample.NONE, 2), sample.png(written)]
    made = [receive(data, f"{n}.png", f"P {n}").public_id for n, data in enumerate(pictures)]
    work_off()
    for examination in made:
        Consents(store.database).give(examination, "box")
    People(store.database).add("Asha", Role.ADMINISTRATOR, PIN, "box")
    return made


@pytest.fixture
def address(config: KioskConfig, cases: list[str], slot: Slot) -> Iterator[str]:
    with kiosk_with_sticks(config, slot) as address:
        yield address


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """Signed in as the administrator; fails for a request to another host or a script error."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, bypass_csp=True, accept_downloads=True
    )
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(20_000)
    opened.on("request", lambda one: one.url.startswith(address) or troubles.append(one.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto(f"{address}/sign-in/")
    opened.locator(".choice", has_text="Asha").tap()
    opened.locator("input[name=pin]").fill(PIN)
    opened.locator("main button[type=submit]").last.tap()
    opened.get_by_text("Signed in:").wait_for()
    yield opened
    context.close()
    assert not troubles


def ready(page: Any, address: str) -> None:
    """Until all pictures can be looked at; the page renews itself."""
    page.goto(f"{address}/export/")
    page.get_by_role("button", name="I have looked").wait_for()
    page.get_by_text("Stays: there may be writing over the limb.").wait_for()
    assert page.get_by_role("checkbox", checked=True).count() == 0


def looked_at(page: Any, number: int) -> Any:
    """The tick box of a picture, once the picture is on the screen."""
    one = page.locator(".look").nth(number)
    one.locator("img").scroll_into_view_if_needed()
    page.wait_for_function("(one) => one.complete", arg=one.locator("img").element_handle())
    return one.get_by_role("checkbox")


def test_pictures_are_looked_at_let_go_by_touch_and_fetched(page: Any, address: str, tmp_path: Path) -> None:
    ready(page, address)
    assert page.get_by_role("checkbox").count() == 2
    looked_at(page, 1).locator("xpath=..").tap()  # the other one does not leave
    page.get_by_role("button", name="I have looked").tap()
    page.get_by_role("heading", name="1 picture may leave").wait_for()
    page.get_by_role("button", name="Let them leave").tap()
    page.get_by_text("1 picture is ready to be fetched").wait_for()
    keep(page, "export-done")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Fetch the file").tap()
    fetched.value.save_as(tmp_path / "cases.zip")
    assert sum(name.endswith(".dcm") for name in zipfile.ZipFile(tmp_path / "cases.zip").namelist()) == 1
    page.get_by_role("button", name="Remove it from the box").tap()
    page.get_by_role("link", name="Fetch the file").wait_for(state="detached")


def test_pictures_are_put_onto_a_stick_by_keyboard_alone(page: Any, address: str, slot: Slot) -> None:
    stick = slot.plug("CLINIC 3")
    ready(page, address)
    for number in range(2):
        looked_at(page, number).press("Space")
    page.get_by_role("button", name="I have looked").press("Enter")
    page.get_by_role("heading", name="2 pictures may leave").wait_for()
    page.goto(f"{address}/export/")
    page.get_by_role("radio", name="USB stick CLINIC 3").press("Space")
    page.get_by_role("button", name="Let them leave").press("Enter")
    page.get_by_role("heading", name="2 pictures have left").wait_for()
    keep(page, "export-stick")
    (folder,) = stick.iterdir()
    assert folder.name.startswith("ulna-cases-") and len(list(folder.glob("images/*.dcm"))) == 2


def test_consent_is_taken_back_on_the_page_of_the_result(
    page: Any, address: str, cases: list[str], store: Store
) -> None:
    page.goto(f"{address}/examinations/{cases[0]}/")
    page.get_by_role("button", name="She agrees no longer").tap()
    page.get_by_role("button", name="The patient agrees that this picture").wait_for()
    page.locator("#consent").scroll_into_view_if_needed()
    keep(page, "consent")
    assert len(Consents(store.database).image_ids()) == 2


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_shows_all_with_large_targets_and_axe_finds_nothing(
    page: Any, address: str, cases: list[str], slot: Slot, panel: str
) -> None:
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    slot.plug("CLINIC 3")
    ready(page, address)
    for number in range(2):
        looked_at(page, number).locator("xpath=..").tap()
    page.get_by_role("button", name="I have looked").tap()
    page.get_by_role("heading", name="2 pictures may leave").wait_for()
    for where in (f"{address}/export/", f"{address}/examinations/{cases[0]}/"):
        page.goto(where)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        targets = "#consent button, .looks a:visible, .looks .choice:visible, .form button:visible"
        for target in page.locator(targets).all():
            assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()
        find_nothing(page, where)
    page.goto(f"{address}/export/")
    page.evaluate("document.querySelectorAll('img').forEach((one) => { one.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every((one) => one.complete)")
    keep(page, f"export-{panel}")


def find_nothing(page: Any, where: str) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        return
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"


def keep(page: Any, name: str) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)
