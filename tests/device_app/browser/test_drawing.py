"""Places that a person marks on the picture: by fingers, mouse, keys and buttons, on one or several views."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.readings import MAX_BOXES
from tests.device_app import sample
from tests.device_app.browser.test_access import become_administrator
from tests.device_app.browser.viewing import (
    PANELS,
    RESULT,
    drawn,
    keep,
    matrix,
    on_screen,
    plain,
    scaled,
    send,
    settle,
    touch,
    watched,
)
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
_SEEDS = itertools.count(700)
FROM, TO = (150.0, 200.0), (230.0, 330.0)
SMALLEST_TARGET_PX = 44
Box = tuple[float, float, float, float]
WANTED: Box = (*FROM, *TO)


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: Any, kiosk_bundle: Path, kiosk_keys: Any) -> Iterator[Kiosk]:
    data = tmp_path_factory.mktemp("drawing") / "data"
    running = Kiosk(KioskConfig(kiosk_bundle, data, trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture(scope="module")
def signed_in(chromium: Any, kiosk: Kiosk) -> Any:
    """What the browser of somebody keeps who may judge."""
    context = chromium.new_context(has_touch=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    become_administrator(page, kiosk)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(chromium: Any, kiosk: Kiosk, signed_in: Any) -> Iterator[Any]:
    """A page that fails its test for a request to another host, a console error or a script error."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, storage_state=signed_in
    )
    troubles: list[str] = []
    yield watched(context.new_page(), kiosk, troubles)
    context.close()
    assert not troubles


@pytest.fixture
def fracture(page: Any, kiosk: Kiosk) -> Any:
    """A fracture with a place of the box's, on pixels that are higher than wide."""
    send(page, kiosk, scaled(sample.FRACTURE, next(_SEEDS)))
    page.locator(".pill-ready").wait_for()  # a banner that goes away would move the picture under the finger
    settle(page)
    return page


def flip(page: Any, name: str, view: int = 0) -> None:
    page.locator(f"[data-switch={name}]").nth(view).tap()
    settle(page)


def act(page: Any, *names: str, view: int = 0) -> None:
    for name in names:
        page.locator(f"article [data-act={name}]:visible").nth(view).tap()
    settle(page)


def press(page: Any, *keys: str, view: int = 0) -> None:
    page.locator(".stage").nth(view).focus()
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def places(page: Any) -> list[dict[str, float]]:
    """As the form would send them."""
    return list(json.loads(page.locator("[data-places] [name=places]").input_value()))


def corners(row: dict[str, float]) -> Box:
    return row["x0_px"], row["y0_px"], row["x1_px"], row["y1_px"]


def only(page: Any) -> Box:
    (row,) = places(page)
    return corners(row)


def near(page: Any, wanted: Box) -> Any:
    """Within two pixels of the stage."""
    return pytest.approx(wanted, abs=0.2 + 2 / matrix(page).scale)


def by_mouse(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up()


def by_finger(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    touch(page, "touchStart", start)
    touch(page, "touchMove", ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    touch(page, "touchMove", end)
    touch(page, "touchEnd")


def by_two_touches(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    for point in (start, end):
        touch(page, "touchStart", point)
        touch(page, "touchEnd")


def drag(page: Any, start: tuple[float, float], end: tuple[float, float], way: Any = by_finger) -> None:
    """From one point of the picture to another."""
    way(page, on_screen(page, *start), on_screen(page, *end))
    settle(page)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("way", [by_mouse, by_finger, by_two_touches])
def test_what_is_drawn_lies_where_it_was_drawn_however_the_picture_is_looked_at(
    fracture: Any, way: Any, turns: int
) -> None:
    page = fracture
    press(page, *"]" * turns, "+", "i")
    flip(page, "mark")
    drag(page, FROM, TO, way)
    assert only(page) == near(page, WANTED)
    before = only(page)
    press(page, "]", "0", "i")
    assert only(page) == before
    shape = page.locator(".place-drawn").bounding_box()
    low, high = on_screen(page, *FROM), on_screen(page, *TO)
    assert (shape["x"], shape["y"]) == pytest.approx((min(low[0], high[0]), min(low[1], high[1])), abs=4)
    keep(page, f"drawn-{way.__name__}-{turns}")


def test_a_second_reading_with_a_place_is_stored_and_shown_again(fracture: Any) -> None:
    page = fracture
    page.get_by_role("link", name="I do not agree").tap()
    page.get_by_role("radio", name="Not sure").tap()
    page.get_by_role("button", name="Mark on the picture").tap()
    settle(page)
    drag(page, FROM, TO)
    keep(page, "amending")
    said = page.locator("[data-places-list] li").inner_text()
    assert (
        said.startswith("Place 1: middle, 80 x 13")
        and "1 of at most 20" in page.locator("[data-places-count]").inner_text()
    )
    page.get_by_role("button", name="Store", exact=True).first.tap()
    page.get_by_text("Second reading: Not sure").wait_for()
    row = page.locator(".said > li").first
    assert (
        "You" in row.inner_text()
        and "Unlike the box" in row.inner_text()
        and said.splitlines()[0] in row.inner_text()
    )
    assert page.locator(".place-said").count() == 0
    row.get_by_role("button", name="On the picture: 1 place").tap()
    settle(page)
    shape, start = drawn(page.locator(".place-said")), on_screen(page, *FROM)
    assert (shape["x"], shape["y"]) == pytest.approx(start, abs=4)
    assert page.locator(".people .place-name").text_content() == "You 1"
    box, own = (
        page.locator(name).evaluate("e => getComputedStyle(e).strokeDasharray")
        for name in ("rect.box", ".place-said")
    )
    assert box == "none" and own != "none"
    keep(page, "stored")
    row.get_by_role("button", name="On the picture").tap()
    settle(page)
    assert page.locator(".place-said").count() == 0


def test_agreeing_takes_one_touch_and_the_boxs_places(fracture: Any) -> None:
    page = fracture
    keep(page, "agree")
    page.get_by_role("button", name="I agree: Fracture").tap()
    page.get_by_text("You agree with the box.").wait_for()
    assert page.get_by_role("button", name="I agree").count() == 0
    row = page.locator(".said > li").first
    assert "Second reading: Fracture" in row.inner_text() and "As the box" in row.inner_text()
    row.get_by_role("button", name="On the picture: 1 place").tap()
    settle(page)
    theirs, own = page.locator("rect.box").bounding_box(), page.locator(".place-said").bounding_box()
    assert [own[key] for key in own] == pytest.approx([theirs[key] for key in own], abs=3)
    keep(page, "agreed")


def test_the_boxs_place_is_taken_over_and_amended_by_fingers(fracture: Any) -> None:
    page = fracture
    page.get_by_role("link", name="I do not agree").tap()
    page.get_by_role("button", name="Take the box's places").tap()
    settle(page)
    x0, y0, x1, y1 = only(page)
    press(page, "p", "+")
    drag(page, ((x0 + x1) / 2, (y0 + y1) / 2), ((x0 + x1) / 2 + 40, (y0 + y1) / 2 + 30))
    moved = only(page)
    assert moved == near(page, (x0 + 40, y0 + 30, x1 + 40, y1 + 30))
    drag(page, moved[2:], (moved[2] + 30, moved[3] + 25))
    larger = only(page)
    assert larger == near(page, (*moved[:2], moved[2] + 30, moved[3] + 25))
    act(page, "mark-undo")
    assert only(page) == moved
    act(page, "mark-undo", "mark-undo")
    assert places(page) == []
    page.get_by_role("button", name="Take the box's places").tap()
    settle(page)
    page.get_by_role("radio", name="Fracture as the box").tap()
    drag(page, ((x0 + x1) / 2, (y0 + y1) / 2), ((x0 + x1) / 2, (y0 + y1) / 2 + 30))
    page.get_by_role("button", name="Store", exact=True).first.tap()
    page.get_by_text("As the box, with places of their own").wait_for()
    assert page.locator("rect.box").count() == 1, "the box's own place stays as it was"


def test_everything_by_buttons(fracture: Any) -> None:
    page = fracture
    flip(page, "mark")
    act(page, "mark-new")
    x0, y0, x1, y1 = only(page)
    step = 8 / matrix(page).scale
    act(page, "mark-right", "mark-right", "mark-left", "mark-down")
    moved = only(page)
    assert moved == pytest.approx(
        (x0 + step, y0 + step * 0.125 / 0.16, x1 + step, y1 + step * 0.125 / 0.16), abs=0.5
    )
    act(page, "mark-size")
    assert page.get_by_role("button", name="Make this place wider").is_visible()
    act(page, "mark-right", "mark-up", "mark-up")
    sized = only(page)
    assert sized[:2] == moved[:2] and sized[2] > moved[2] and sized[3] < moved[3]
    act(page, "mark-new")
    assert len(places(page)) == 2
    page.get_by_role("button", name="Remove place 1").tap()
    settle(page)
    assert len(places(page)) == 1 and only(page) != sized
    act(page, "mark-undo", "mark-next", "mark-next", "mark-remove")
    assert len(places(page)) == 1
    keep(page, "buttons")


def test_everything_by_the_keyboard_alone(fracture: Any) -> None:
    page = fracture
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('stage')"):
            break
    for key in ("p", "]", "n"):
        page.keyboard.press(key)
    x0, y0, *_ = only(page)
    for key in ("ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    moved = only(page)  # a quarter turn clockwise: right on the stage is up in the picture, down is right
    assert moved[1] < y0 and moved[0] > x0 and moved[0] - x0 > 5 * (y0 - moved[1])
    page.keyboard.press("s")
    page.keyboard.press("Shift+ArrowRight")
    sized = only(page)
    assert sized[1] < moved[1] and (sized[0], sized[2], sized[3]) == pytest.approx(
        (moved[0], moved[2], moved[3]), abs=0.06
    )
    assert "Place 1: " in page.locator("[data-place]").inner_text()
    page.keyboard.press("u")
    assert only(page) == moved
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    page.keyboard.press("Delete")
    assert len(places(page)) == 1
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator(".strip-mark").is_hidden()
    radio = page.get_by_role("radio", name="Fracture as the box")
    radio.press("Space")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "submit":
            break
    page.keyboard.press("Enter")
    page.get_by_text("Second reading: Fracture").wait_for()


def test_two_fingers_enlarge_while_marking_and_draw_nothing(fracture: Any) -> None:
    page = fracture
    flip(page, "mark")
    before = matrix(page).scale
    x, y = on_screen(page, 200, 260)
    touch(page, "touchStart", (x - 40, y))
    touch(page, "touchMove", (x - 60, y + 5))
    touch(page, "touchStart", (x - 60, y + 5), (x + 40, y))
    touch(page, "touchMove", (x - 90, y), (x + 90, y))
    touch(page, "touchEnd")
    assert matrix(page).scale > 1.3 * before
    assert places(page) == [] and page.locator(".place-drawn").count() == 0


def test_a_place_never_leaves_the_picture(fracture: Any) -> None:
    page = fracture
    flip(page, "mark")
    drag(page, (350, 450), (390, 510))
    press(page, *["Shift+ArrowRight"] * 12, *["Shift+ArrowDown"] * 12)
    x0, y0, x1, y1 = only(page)
    assert (x1, y1) == (400, 520) and (x1 - x0, y1 - y0) == pytest.approx((40, 60), abs=3)
    press(page, "s", *["Shift+ArrowLeft"] * 30)
    assert only(page)[2] - only(page)[0] == pytest.approx(2, abs=0.11)


def test_there_are_no_more_places_than_can_be_stored(fracture: Any) -> None:
    page = fracture
    press(page, "p", *["n"] * (MAX_BOXES + 3))
    assert len(places(page)) == MAX_BOXES
    press(page, "Escape")
    assert "No more places" in page.locator("[data-place]").inner_text()
    drag(page, FROM, TO)
    assert len(places(page)) == MAX_BOXES


def test_what_was_marked_and_not_stored_is_not_left_without_a_question(fracture: Any) -> None:
    page, asked = fracture, []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="I do not agree").tap()
    page.get_by_role("button", name="Mark on the picture").tap()
    drag(page, FROM, TO)
    page.get_by_role("link", name="History").tap()
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"] and corners(places(page)[0]) == near(page, WANTED)
    page.get_by_role("radio", name="Fracture").first.check()
    page.get_by_role("button", name="Store", exact=True).first.tap()
    page.get_by_text("Second reading: Fracture").wait_for()
    page.get_by_role("link", name="History").tap()
    page.wait_for_url("**/history")
    assert asked == ["beforeunload"]


def test_an_answer_without_places_sends_none_and_says_so(fracture: Any) -> None:
    page = fracture
    flip(page, "mark")
    drag(page, FROM, TO)
    page.get_by_role("radio", name="No fracture").check()
    page.get_by_text("With this answer no places are stored.").wait_for()
    assert places(page) == []
    page.get_by_role("radio", name="Not sure").check()
    page.get_by_text("1 of at most 20 places marked").wait_for()
    assert len(places(page)) == 1
    page.get_by_role("radio", name="No fracture").check()
    page.get_by_role("button", name="Store", exact=True).first.tap()
    page.get_by_text("Second reading: No fracture").wait_for()


@pytest.fixture
def views(page: Any, kiosk: Kiosk) -> Any:
    """Three views of one examination, the second one a fracture."""
    address = send(page, kiosk, plain(sample.NONE, next(_SEEDS)))
    name = address.rstrip("/").rpartition("/")[2]
    for gap in (sample.FRACTURE, sample.NONE):
        page.goto(f"{kiosk.address}/?examination={name}")
        page.locator("#picture").set_input_files(plain(gap, next(_SEEDS)))
        page.wait_for_selector(RESULT)
        page.locator("[data-state]").first.wait_for(state="detached")
    page.goto(address)
    page.locator(".viewer-gray").nth(2).wait_for()
    settle(page)
    return page


def test_each_of_several_views_has_places_and_tools_of_its_own(views: Any) -> None:
    page = views
    for view, keys in ((1, "+"), (2, "]")):
        press(page, keys, "p", "n", view=view)
    rows = places(page)
    assert len({row["image_id"] for row in rows}) == 2
    lines = page.locator("[data-places-list] li").all_inner_texts()
    keep(page, "several")
    assert lines[0].startswith("Place 1, picture 2: middle") and lines[1].startswith(
        "Place 2, picture 3: middle"
    )
    first, second = (page.locator(".people").nth(view).locator(".place-drawn").count() for view in (0, 1))
    assert (first, second) == (0, 1)
    before = corners(rows[1])
    press(page, "Shift+ArrowLeft", view=1)  # that view's own place is not the one that is held
    assert corners(places(page)[1]) == before
    press(page, "Enter", "Shift+ArrowLeft", view=1)
    assert corners(places(page)[0]) != corners(rows[0]) and corners(places(page)[1]) == before
    page.locator("[data-switch=mark]").nth(0).tap()
    drag_on_first = page.locator(".stage").first
    drag_on_first.scroll_into_view_if_needed()
    drag(page, FROM, TO)
    assert len(places(page)) == 3 and corners(places(page)[2]) == near(page, WANTED)
    page.locator("#say summary").scroll_into_view_if_needed()
    page.get_by_role("radio", name="Fracture").first.tap()
    page.get_by_role("button", name="Store", exact=True).first.tap()
    page.get_by_text("Second reading: Fracture").wait_for()
    page.get_by_role("button", name="On the picture: 3 places").tap()
    settle(page)
    assert [page.locator(".people").nth(view).locator(".place-said").count() for view in range(3)] == [
        1,
        1,
        1,
    ]


def test_the_whole_screen_shows_the_view_it_was_asked_for(views: Any) -> None:
    page = views
    press(page, "f", view=2)
    page.wait_for_timeout(200)
    stages = [page.locator(".stage").nth(view).bounding_box() for view in range(3)]
    assert 0 <= stages[2]["y"] < 200 and stages[1]["y"] < 0
    keep(page, "several-whole")
    page.locator("[data-switch=whole]").nth(2).tap()
    assert page.locator(".panel").nth(2).is_visible()


def test_without_scripts_a_reading_is_given_without_places(
    chromium: Any, fracture: Any, signed_in: Any
) -> None:
    context = chromium.new_context(java_script_enabled=False, storage_state=signed_in)
    bare = context.new_page()
    bare.goto(fracture.url)
    bare.get_by_text("Say what you think of it").click()
    assert bare.get_by_text("Where is it?").is_hidden()
    bare.get_by_role("radio", name="Fracture as the box").check()
    bare.get_by_role("button", name="Store", exact=True).first.click()
    bare.get_by_text("Second reading: Fracture").wait_for()
    bare.get_by_role("button", name="I agree").click()
    bare.get_by_text("You agree with the box.").wait_for()
    context.close()


TARGETS = "main a, main button, main summary, main input:not([type=hidden], [type=radio]), main .choice"


@pytest.mark.skipif(
    importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
)
@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("colours", ["none", "active"])
def test_axe_finds_nothing_targets_are_large_and_the_picture_keeps_room(
    chromium: Any, kiosk: Kiosk, fracture: Any, signed_in: Any, panel: str, colours: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = PANELS[panel]
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        bypass_csp=True,
        has_touch=True,
        forced_colors=colours,
        storage_state=signed_in,
    )
    page = watched(context.new_page(), kiosk, troubles := [])
    page.goto(fracture.url)
    page.wait_for_selector(".viewer-gray")
    for name in ("agree", "marking", "list"):
        if name == "marking":
            page.get_by_role("link", name="I do not agree").tap()
            page.get_by_role("button", name="Take the box's places").tap()
            settle(page)
            press(page, "p", "n")
        if name == "list":
            page.locator("[data-places-list]").scroll_into_view_if_needed()
        keep(page, f"{panel}-{name}-forced-{colours}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for target in page.locator(TARGETS).all():
            shape = target.bounding_box() if target.is_visible() else None
            large = shape is None or min(shape["height"], shape["width"]) >= SMALLEST_TARGET_PX
            assert large or target.evaluate("e => e.closest('.bar') !== null"), target.evaluate(
                "e => e.outerHTML"
            )
        assert page.locator(".stage").bounding_box()["height"] >= 140, "no room is left for the picture"
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
    assert not troubles
