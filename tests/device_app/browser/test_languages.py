"""Every page in every language: nothing left in English, nothing cut off, axe finds nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

import device_app
from device_app import KioskConfig
from device_app.first_run import STEPS
from device_app.language import LANGUAGES, direction
from tests.device_app import sample
from tests.device_app.browser.test_access import PANELS, add_somebody, become_administrator, keep
from tests.device_app.browser.viewing import plain, watched
from tests.device_app.putting_back import lay_aside
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
CATALOGUES = Path(device_app.__file__).parent / "translations"
PAGES = {
    "upload": "/",
    "photograph": "/photograph",
    "history": "/history",
    "box": "/box",
    "aside": "/box/aside/",
    "watch": "/box/watch/",
    "limits": "/box/limits/",
    "settings": "/settings/",
    "people": "/people/",
    "log": "/log/",
    "export": "/export/",
    "agreement": "/agreement",
    "stick": "/stick",
    "sign-in": "/sign-in/",
    "language": "/language/",
    "first": "/first/",
    **{f"first-{step}": f"/first/{step}" for step in STEPS},
    "not-found": "/nowhere",
}
SEEN = ("fracture", "doubt", "none", "unreadable", "views", "taken-in", "report")
ENOUGH_LETTERS = 14


@pytest.fixture(scope="module")
def full_kiosk(
    tmp_path_factory: Any, kiosk_bundle: Path, kiosk_keys: Any, chromium: Any
) -> Iterator[tuple[Kiosk, dict[str, str], Any]]:
    """A kiosk with an answer of each kind, its pages, and the session of who looks after it."""
    data = tmp_path_factory.mktemp("full") / "data"
    running = Kiosk(KioskConfig(kiosk_bundle, data, trust=(kiosk_keys[1],)))
    context = chromium.new_context(has_touch=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    become_administrator(page, running)
    add_somebody(page, running, "Musa K.", "830271")
    addresses = dict(PAGES)
    sent = (
        ("fracture", plain(sample.FRACTURE, 401)),
        ("doubt", plain(sample.DOUBT, 402)),
        ("none", plain(sample.NONE, 403)),
        ("unreadable", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no picture at all"}),
    )
    for name, picture in sent:
        addresses[name] = give(page, running, [picture])
    addresses["views"] = give(page, running, [plain(sample.FRACTURE, 404), plain(sample.NONE, 405)])
    addresses["report"] = f"{addresses['fracture']}report/"
    lay_aside(data, sample.picture(sample.NONE, 406))
    addresses["taken-in"] = take_in(page, running)
    lay_aside(data, sample.picture(sample.NONE, 407))
    yield running, addresses, context.storage_state()
    context.close()
    running.end()


def give(page: Any, kiosk: Kiosk, pictures: list[dict[str, Any]]) -> str:
    page.goto(kiosk.address)
    page.get_by_label("Patient number or name").fill(f"P {pictures[0]['name']}")
    page.locator("#picture").set_input_files(pictures)
    if len(pictures) > 1:
        page.get_by_role("button", name="Yes: views of one injury").tap()
    page.wait_for_url("**/examinations/**")
    page.wait_for_selector("[data-state]", state="detached")
    return str(page.evaluate("location.pathname"))


def take_in(page: Any, kiosk: Kiosk) -> str:
    page.goto(f"{kiosk.address}/box")
    page.get_by_role("link", name="Take pictures in again").tap()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Take pictures in again").tap()
    page.get_by_text("1 picture was taken in.").wait_for()
    page.goto(f"{kiosk.address}/history")
    page.locator("a.row", has_text="taken_in-").tap()
    page.wait_for_selector("[data-state]", state="detached")
    return str(page.evaluate("location.pathname"))


def english_left(language: str, text: str) -> set[str]:
    """Whole messages that stand on a page in English though the catalogue has other words for them."""
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        table = read_po(file, locale=language)
    said = re.sub(r"\s+", " ", text)
    plain_messages = (
        message.id
        for message in table
        if isinstance(message.id, str) and "%(" not in message.id and message.string != message.id
    )
    return {one for one in plain_messages if len(one) >= ENOUGH_LETTERS and one in said}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_the_language_and_passes_axe(chromium: Any, full_kiosk: Any, language: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    kiosk, addresses, state = full_kiosk
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800},
        has_touch=True,
        bypass_csp=True,
        storage_state=state,
        locale=language,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    for name, path in addresses.items():
        page.goto(f"{kiosk.address}{path}")
        keep(page, f"{language}-{name}")
        found = page.evaluate("[document.documentElement.lang, document.documentElement.dir]")
        assert found == [language, direction(language)], name
        assert axe.Axe().run(page).response["violations"] == [], (language, name)
        assert fits(page), (language, name)
        if language != "en":
            assert not english_left(language, page.locator("body").inner_text()), name
    context.close()


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel != "wide"])
@pytest.mark.parametrize("language", ["ar", "fr", "hi"])
def test_long_and_right_to_left_texts_fit_small_screens(
    chromium: Any, full_kiosk: Any, language: str, panel: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    kiosk, addresses, state = full_kiosk
    width, height = PANELS[panel]
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        has_touch=True,
        bypass_csp=True,
        storage_state=state,
        locale=language,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    for name in ("upload", "history", *SEEN, "box", "first", "settings"):
        page.goto(f"{kiosk.address}{addresses[name]}")
        keep(page, f"{language}-{name}-{panel}")
        assert fits(page), (language, name)
        assert axe.Axe().run(page).response["violations"] == [], (language, name)
    context.close()


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_language_chosen_on_the_screen_stays_through_signing_in_and_out(
    chromium: Any, full_kiosk: Any
) -> None:
    kiosk, _addresses, _state = full_kiosk
    context = chromium.new_context(has_touch=True, locale="en")
    troubles: list[str] = []
    page = watched(context.new_page(), kiosk, troubles)
    page.goto(kiosk.address)
    page.locator(".speaks").tap()
    page.get_by_role("button", name=LANGUAGES["fr"]).tap()
    page.wait_for_selector('html[lang="fr"]')
    page.goto(f"{kiosk.address}/sign-in/")
    page.locator(".choice", has_text="Musa K.").tap()
    page.locator("#known-pin").fill("830271")
    page.locator(".form button[type=submit]").tap()
    page.locator(".signed-in").wait_for()
    assert page.locator("html").get_attribute("lang") == "fr"
    page.locator(".signed-in button").tap()
    page.locator(".signed-in").wait_for(state="detached")
    assert page.locator("html").get_attribute("lang") == "fr"
    context.close()
    assert not troubles
