"""The report on screens and on paper, with a real Chromium; the PDF that it leads to."""

from __future__ import annotations

import importlib.util
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig, create_app
from device_app.store import Store
from tests.device_app import sample
from tests.device_app.browser.test_access import PANELS, keep
from tests.device_app.browser.viewing import RESULT, SCREENSHOTS
from tests.device_app.report.longest import longest_examination
from tests.device_app.test_serve import Kiosk

pypdf = pytest.importorskip("pypdf")
pytestmark = pytest.mark.browser

FILES: dict[str, Callable[[int], bytes]] = {
    "fracture": lambda seed: sample.picture(sample.FRACTURE, seed),
    "doubt": lambda seed: sample.picture(sample.DOUBT, seed),
    "none": lambda seed: sample.picture(sample.NONE, seed),
    "unreadable": lambda seed: b"no picture at all %d" % seed,
}
_SEEDS = itertools.count(810)
SHEETS = {"A4": {"format": "A4"}, "Letter": {"format": "Letter"}}


def send(page: Any, kiosk: Kiosk, kind: str, label: str = "P 4711") -> None:
    """To the report of a picture of that kind."""
    page.goto(kiosk.address)
    page.get_by_label("Patient number or name").fill(label)
    picture = {"name": f"{kind}.png", "mimeType": "image/png", "buffer": FILES[kind](next(_SEEDS))}
    page.locator("#picture").set_input_files(picture)
    page.wait_for_selector(RESULT)
    page.get_by_role("link", name="Report", exact=True).click()
    page.locator("article.sheet").wait_for()
    page.wait_for_load_state("networkidle")  # its picture is there


def keep_file(name: str, data: bytes) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        (Path(SCREENSHOTS) / name).write_bytes(data)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("kind", FILES)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    viewer_page: Any, viewer_kiosk: Kiosk, kind: str, panel: str
) -> None:
    page = viewer_page
    width, height = PANELS[panel]
    page.set_viewport_size({"width": width, "height": height})
    send(page, viewer_kiosk, kind)
    keep(page, f"{panel}-report-{kind}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    buttons = page.locator(".report-do .button:visible")
    assert buttons.count() == 3
    for number in range(3):
        box = buttons.nth(number).bounding_box()
        assert box is not None and min(box["width"], box["height"]) >= 44
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("paper", SHEETS)
@pytest.mark.parametrize("kind", FILES)
def test_the_browser_prints_one_page_without_the_kiosks_frame(
    viewer_page: Any, viewer_kiosk: Kiosk, kind: str, paper: str
) -> None:
    page = viewer_page
    send(page, viewer_kiosk, kind)
    made = page.pdf(**SHEETS[paper])
    keep_file(f"printed-{paper}-{kind}.pdf", made)
    pages = pypdf.PdfReader(io.BytesIO(made)).pages
    text = pages[0].extract_text()
    assert len(pages) == 1 and "AI result, not a diagnosis" in text and "P 4711" in text
    for word in ("Save as PDF", "Back to the result", "History", "New picture"):
        assert word not in text


@pytest.mark.parametrize("paper", SHEETS)
def test_four_views_with_the_longest_texts_are_one_printed_page(
    chromium: Any, config: KioskConfig, store: Store, work_off: Callable[[], int], paper: str
) -> None:
    ident = longest_examination(store, work_off)
    client = create_app(config).test_client()
    client.application.extensions["ulna-access"].settings.change("box", clinic="M" * 80)
    style = Path(str(client.application.static_folder), "report.css").read_text()
    page = chromium.new_page()
    page.set_content(client.get(f"/examinations/{ident}/report/").text + f"<style>{style}</style>")
    made = page.pdf(**SHEETS[paper])
    keep_file(f"printed-{paper}-longest.pdf", made)
    pages = pypdf.PdfReader(io.BytesIO(made)).pages
    text = " ".join(pages[0].extract_text().split())
    assert len(pages) == 1 and "In the end: Fracture" in text and "4: No fracture found" in text
    assert "Not on this page for want of room" in text
    page.close()


def test_print_opens_the_browsers_own_dialogue_and_save_gives_a_pdf_by_touch(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    page = viewer_page
    page.add_init_script("window.print = () => { document.body.dataset.printed = 'yes'; };")
    send(page, viewer_kiosk, "fracture")
    page.get_by_role("button", name="Print").tap()
    assert page.locator("body[data-printed=yes]").count() == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as PDF").tap()
        page.get_by_text("The PDF is being made.").wait_for()
    data = Path(download.value.path()).read_bytes()
    keep_file("saved-fracture.pdf", data)
    assert download.value.suggested_filename.startswith("ulna-report-")
    assert len(pypdf.PdfReader(io.BytesIO(data)).pages) == 1
    page.get_by_role("link", name="Back to the result").tap()
    page.wait_for_selector(RESULT)


def test_by_keyboard_alone(viewer_page: Any, viewer_kiosk: Kiosk) -> None:
    page = viewer_page
    page.add_init_script("window.print = () => { document.body.dataset.printed = 'yes'; };")
    send(page, viewer_kiosk, "doubt")
    page.get_by_role("button", name="Print").press("Enter")
    assert page.locator("body[data-printed=yes]").count() == 1
    page.get_by_role("link", name="Back to the result").press("Enter")
    page.wait_for_selector(RESULT)


def test_without_scripts_the_page_names_the_browsers_menu(
    chromium: Any, viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    send(viewer_page, viewer_kiosk, "none")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(viewer_page.url)
    assert page.get_by_role("button", name="Print").count() == 0
    assert page.get_by_text("To print, use the menu of the browser.").is_visible()
    assert page.get_by_role("link", name="Save as PDF").is_visible()
    context.close()
