"""Leafing through the page of changed decisions in a real Chromium: by key, button, finger and list."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.record import NodeRecord
from compress.report.flips import write_flips
from tests.compress.report.flip_runs import flip, flip_node, small_run

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 480, "height": 800}
LONG = "IMG0003441-left-wrist-lateral-second-exposure"
ORDER = ("a", "c", "b", LONG)
"""Away from the truth first, fractured before healthy, far moved before others; LONG went towards it."""
SMALLEST_TARGET_PX = 44
SMALLEST_LETTERS_PX = 10.5

if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a page with four cases: of one there is no picture, of one many nodes give the same answer."""
    folder = tmp_path_factory.mktemp("flips")
    small, path = small_run(folder), folder / "flips.html"
    write_flips(replace(small.record, nodes=(*small.record.nodes, *_further())), small.sources, path)
    return path.as_uri()


def _further() -> list[NodeRecord]:
    engines = {
        "onnxruntime/int8": [flip("c", 1, after=0.31)],
        "openvino/int8-quantized": [flip("c", 1, after=0.31)],
        "openvino/int8": [flip("c", 1, after=0.31)],
        "tensorrt/int8-quantized": [flip("c", 1, after=0.31)],
        "tensorrt/int8": [flip("c", 1, after=0.31)],
        "tensorrt/fp16": [flip(LONG, 1, "positive", 0.45, body_part="", reference_probability=0.35)],
        "tensorrt/fp32": [flip("b", 0, "positive", 0.62)],
    }
    return [
        flip_node(name, "compile", engine=name.partition("/")[0], flips=flips)
        for name, flips in engines.items()
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Any]:
    """Opens the page in a window; anything asked for but the file itself, and any error, fails the test."""
    contexts, troubles = [], []

    def open_at(window: dict[str, int], **options: Any) -> Any:
        context = browser.new_context(viewport=window, has_touch=window is NARROW, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: _of_the_page(request.url, address) or troubles.append(request.url))
        page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(address)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert not troubles


def _of_the_page(url: str, address: str) -> bool:
    return url.split("#", maxsplit=1)[0] == address or url.startswith("data:")


def _shown(page: Any) -> str:
    """The only case that is to be seen, as its heading, its place and the list have it."""
    (leaf,) = [item for item in page.locator(".leaf").all() if item.is_visible()]
    number = int(leaf.get_attribute("id").removeprefix("flip-"))
    assert page.locator("#place").inner_text() == f"{number} of {len(ORDER)}"
    assert page.locator(".jump a[aria-current]").get_attribute("href") == f"#flip-{number}"
    name = ORDER[number - 1]
    assert name in leaf.locator("h2").inner_text()
    return name


def _focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.localName"))


def keep(page: Any, name: str) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


def test_arrow_keys_home_and_end_leaf_through_and_stop_at_both_ends(open_page: Any) -> None:
    page = open_page(WIDE)
    seen = [_shown(page)]
    for key in ("ArrowLeft", *["ArrowRight"] * 4, "Home", "End", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(_shown(page))
    a, c, b, last = ORDER
    assert seen == [a, a, c, b, last, last, a, last, b]


def test_buttons_do_the_same_and_hand_the_focus_on_at_the_ends(open_page: Any) -> None:
    page = open_page(WIDE)
    previous, following = (page.get_by_role("button", name=name) for name in ("Previous", "Next"))
    assert previous.is_disabled()
    seen = []
    for _ in range(3):
        following.click()
        seen.append(_shown(page))
    assert (tuple(seen), following.is_disabled(), _focused(page)) == (ORDER[1:], True, "previous")
    page.keyboard.press("Enter")
    assert _shown(page) == ORDER[2]
    page.keyboard.press("Home")
    assert (_shown(page), previous.is_disabled(), _focused(page)) == (ORDER[0], True, "next")


def test_the_list_leads_to_a_case_and_the_focus_goes_along_with_the_keys(open_page: Any) -> None:
    page = open_page(WIDE)
    page.get_by_role("link", name=LONG).click()
    assert (_shown(page), _focused(page)) == (LONG, "flip-4")
    page.keyboard.press("ArrowLeft")
    assert (_shown(page), _focused(page)) == ("b", "flip-3")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.leaf')?.id") == "flip-3"


def test_everything_that_takes_the_focus_shows_it(open_page: Any) -> None:
    page = open_page(WIDE)
    names = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        if _focused(page) == "body":
            break
        names.add(_focused(page))
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert width >= 2 and style != "none", _focused(page)
    assert names >= {"input", "select", "summary", "a", "next"}


def test_keys_leaf_on_after_the_filter_was_ticked_but_leave_a_list_of_choices_alone(open_page: Any) -> None:
    page = open_page(WIDE)
    page.get_by_label("only away from the truth").check()
    assert page.locator("#place").inner_text() == "1 of 3"
    page.keyboard.press("End")
    assert page.locator("#place").inner_text() == "3 of 3"
    page.get_by_label("Engine").focus()
    page.keyboard.press("Home")
    assert page.locator("#place").inner_text() == "3 of 3"


def test_filters_that_leave_nothing_say_so_and_keys_do_no_harm(open_page: Any) -> None:
    page = open_page(WIDE)
    page.get_by_label("only away from the truth").check()
    page.get_by_label("Body part").select_option("not said")
    page.locator("h1").click()
    for key in ("ArrowRight", "End", "Home"):
        page.keyboard.press(key)
    assert page.get_by_text("No changed decision is left by these filters.").is_visible()
    assert not [item for item in page.locator(".leaf").all() if item.is_visible()]
    page.get_by_label("only away from the truth").uncheck()
    assert page.locator(".leaf:visible h2").inner_text().startswith(LONG)


def _swipe(page: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """One finger, as a touch screen tells it."""
    session = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)):
        x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_swipe_across_leafs_and_one_along_the_page_does_not(open_page: Any) -> None:
    page = open_page(NARROW)
    _swipe(page, (400, 600), (150, 610))
    assert _shown(page) == ORDER[1]
    _swipe(page, (150, 600), (400, 590))
    assert _shown(page) == ORDER[0]
    _swipe(page, (300, 700), (210, 400))
    assert _shown(page) == ORDER[0]


def test_the_next_case_begins_at_its_name_however_far_down_the_last_was_read(open_page: Any) -> None:
    page = open_page(NARROW)
    page.evaluate("window.scrollTo({top: 1200, behavior: 'instant'})")
    page.get_by_role("button", name="Next").tap()
    name, pager = (page.locator(item).bounding_box() for item in (".leaf:visible h2", ".pager"))
    assert pager["y"] + pager["height"] <= name["y"] < 300


CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((item) => {
  const box = item.getBoundingClientRect();
  return box.width && !item.closest("svg, .badge span") && (box.left < 0 || box.right > innerWidth + 0.5
    || (getComputedStyle(item).overflowX !== "visible" && item.scrollWidth > item.clientWidth + 1));
}).map((item) => item.outerHTML.slice(0, 90))"""

DRAWN_OUTSIDE = """() => [...document.querySelectorAll(".leaf:not([hidden]) .said text")].filter((item) => {
  const [box, place] = [item.getBoundingClientRect(), item.closest("svg").getBoundingClientRect()];
  return box.left < place.left - 1 || box.right > place.right + 1 || box.bottom > place.bottom + 1;
}).map((item) => item.textContent)"""

OVERLAPPING = """() => {
  const parts = [...document.querySelectorAll(
    ".top > *, .filters label, .jump summary, .leaf:not([hidden]) :is(h2, .who div, figcaption," +
    " .shot, .gone, .bar, h3, section > svg, .keys li, .changes li li, .layers li), footer p")];
  const boxes = parts.map((part) => part.getBoundingClientRect());
  const found = [];
  for (let i = 0; i < parts.length; i += 1) for (let j = i + 1; j < parts.length; j += 1) {
    const [a, b] = [boxes[i], boxes[j]];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) {
      found.push([parts[i].outerHTML, parts[j].outerHTML]);
    }
  }
  return found;
}"""

SMALLEST_LETTERS = """() => Math.min(...[...document.querySelectorAll("body *:not(script)")]
  .filter((item) => item.getBoundingClientRect().width
    && [...item.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((item) => parseFloat(getComputedStyle(item).fontSize)
    * (item.ownerSVGElement ? item.getScreenCTM().a : 1)))"""


@pytest.mark.parametrize("window", [NARROW, WIDE], ids=["narrow", "wide"])
def test_nothing_is_cut_off_laps_over_or_is_too_small_to_read(open_page: Any, window: dict[str, int]) -> None:
    page = open_page(window)
    for name in ORDER:
        keep(page, f"flips-{window['width']}-{name}")
        assert _shown(page) == name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(CUT_OFF) == [], name
        assert page.evaluate(DRAWN_OUTSIDE) == [], name
        assert page.evaluate(OVERLAPPING) == [], name
        assert page.evaluate(SMALLEST_LETTERS) >= SMALLEST_LETTERS_PX, name
        page.keyboard.press("ArrowRight")


def test_fingers_have_room_on_a_small_screen(open_page: Any) -> None:
    page = open_page(NARROW)
    page.locator("summary").tap()
    for target in page.locator("button:visible, select:visible, .check:visible, summary, .jump a").all():
        assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()


def test_pictures_of_a_row_stand_side_by_side_at_one_height(open_page: Any) -> None:
    page = open_page(WIDE)
    tops = [item.bounding_box()["y"] for item in page.locator(".leaf:visible .shot").all()]
    assert len(tops) >= 3
    assert max(tops) - min(tops) < 1


def test_without_scripts_all_cases_stand_below_each_other_and_no_key_is_promised(open_page: Any) -> None:
    page = open_page(WIDE, java_script_enabled=False)
    assert page.locator(".leaf:visible").count() == len(ORDER)
    assert page.get_by_role("button").count() == 0
    assert not page.get_by_text("arrow keys").is_visible()


@pytest.mark.skipif(
    importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
)
@pytest.mark.parametrize(("scheme", "window"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark"])
def test_axe_finds_nothing_to_complain_of(open_page: Any, scheme: str, window: dict[str, int]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(window, bypass_csp=True, color_scheme=scheme)
    for _ in ORDER:
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.keyboard.press("ArrowRight")
