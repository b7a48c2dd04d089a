"""The viewer's tools in a real Chromium: by mouse, fingers, buttons and keys, on values that are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.device_app import sample
from tests.device_app.browser.viewing import (
    COLUMN_MM,
    HEIGHT_PX,
    PATCHES,
    ROW_MM,
    WIDTH_PX,
    forearm,
    gray,
    keep,
    matrix,
    on_screen,
    plain,
    scaled,
    send,
    settle,
    shade,
    touch,
    window,
)
from tests.runtime.readers.makers import dicom

pytestmark = pytest.mark.browser
_SEEDS = itertools.count(100)
GAP = (0.40, 0.47)
"""Where the break is, as shares of width and height."""


@pytest.fixture(scope="module")
def shown_at(chromium: Any, viewer_kiosk: Any) -> Iterator[str]:
    """A fracture with a scale; every test opens its page anew."""
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    address = send(page, viewer_kiosk, scaled(sample.FRACTURE, next(_SEEDS)), "P 100")
    page.close()
    yield address


@pytest.fixture
def page(viewer_page: Any, shown_at: str) -> Any:
    viewer_page.goto(shown_at)
    viewer_page.wait_for_selector(".viewer-gray")
    settle(viewer_page)
    return viewer_page


def middle(page: Any) -> tuple[float, float]:
    box = page.locator(".stage").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def act(page: Any, name: str) -> None:
    page.locator(f"[data-act={name}]").first.click()
    settle(page)


def flip(page: Any, name: str) -> None:
    page.locator(f"[data-switch={name}]").first.click()
    settle(page)


def press(page: Any, *keys: str) -> None:
    page.locator(".stage").focus()
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def wheel(page: Any) -> None:
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, -400)


def double_tap(page: Any) -> None:
    for _ in range(2):
        touch(page, "touchStart", middle(page))
        touch(page, "touchEnd")


def pinch(page: Any) -> None:
    x, y = middle(page)
    touch(page, "touchStart", (x - 40, y), (x + 40, y))
    for apart in (60, 80, 100):
        touch(page, "touchMove", (x - apart, y), (x + apart, y))
    touch(page, "touchEnd")


ZOOMS = {
    "button": lambda page: act(page, "closer"),
    "key": lambda page: press(page, "+"),
    "wheel": wheel,
    "double tap": double_tap,
    "pinch": pinch,
    "double click": lambda page: page.mouse.dblclick(*middle(page)),
}


@pytest.mark.parametrize("way", ZOOMS)
def test_each_way_enlarges_about_where_it_points_and_fit_shows_all_again(page: Any, way: str) -> None:
    before = matrix(page)
    ZOOMS[way](page)
    page.wait_for_timeout(50)
    after = matrix(page)
    assert after.scale > 1.3 * before.scale
    fixed = WIDTH_PX / 2, HEIGHT_PX / 2
    assert math.dist(before(*fixed), after(*fixed)) < 2
    act(page, "fit")
    assert matrix(page) == pytest.approx(before, abs=0.01)


def test_a_pinch_enlarges_as_far_as_the_fingers_move_apart(page: Any) -> None:
    before = matrix(page)
    pinch(page)
    assert matrix(page).scale == pytest.approx(2.5 * before.scale, rel=0.02)


def test_it_gets_no_smaller_than_the_whole_picture_and_no_larger_than_its_limit(page: Any) -> None:
    before = matrix(page)
    press(page, "-", "-")
    assert matrix(page) == pytest.approx(before, abs=0.01)
    press(page, *"+" * 20)
    assert matrix(page).scale == pytest.approx(8)


def drag(page: Any, dx: float, dy: float) -> None:
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up()


def finger(page: Any, dx: float, dy: float) -> None:
    x, y = middle(page)
    touch(page, "touchStart", (x, y))
    touch(page, "touchMove", (x + dx / 2, y + dy / 2))
    touch(page, "touchMove", (x + dx, y + dy))
    touch(page, "touchEnd")


@pytest.mark.parametrize("way", [drag, finger])
def test_the_picture_follows_mouse_and_finger_and_stops_at_its_edge(page: Any, way: Any) -> None:
    press(page, "+", "+", "+")
    before = matrix(page)
    way(page, -50, 40)
    after = matrix(page)
    assert (after.e - before.e, after.f - before.f) == pytest.approx((-50, 40), abs=1)
    for _ in range(6):
        way(page, 300, 200)
    assert matrix(page)(0, 0) == pytest.approx((0, 0), abs=1)


@pytest.mark.parametrize(
    ("button", "key", "sign"),
    [
        ("pan-right", "ArrowRight", (-1, 0)),
        ("pan-left", "ArrowLeft", (1, 0)),
        ("pan-down", "ArrowDown", (0, -1)),
        ("pan-up", "ArrowUp", (0, 1)),
    ],
)
def test_buttons_and_arrow_keys_move_it_too(page: Any, button: str, key: str, sign: tuple[int, int]) -> None:
    assert not page.locator("[data-act=pan-up]").is_visible()
    press(page, "+", "+", "+")
    for move in (lambda: act(page, button), lambda: press(page, key)):
        before = matrix(page)
        move()
        after = matrix(page)
        moved = after.e - before.e, after.f - before.f
        assert [math.copysign(1, part) if abs(part) > 1 else 0 for part in moved] == list(sign)


def check_shades(page: Any, inverted: bool = False) -> None:
    level, width = window(page)
    for value in PATCHES:
        expected = shade(value, level, width)
        assert abs(gray(page, value) - (255 - expected if inverted else expected)) <= 1 + 255 / width


def light_by_slider(page: Any) -> None:
    for name, value in (("Brightness", "80"), ("Contrast", "40")):
        page.get_by_role("slider", name=name).fill(value)


def light_by_buttons(page: Any) -> None:
    for name in ("Brighter", "Brighter", "More contrast", "More contrast"):
        page.get_by_role("button", name=name).tap()


LIGHTS = {
    "slider": light_by_slider,
    "buttons": light_by_buttons,
    "keys": lambda page: press(page, "ArrowUp", "ArrowUp", "ArrowRight", "ArrowRight"),
    "mouse": lambda page: drag(page, 60, -60),
    "finger": lambda page: finger(page, 60, -60),
}


@pytest.mark.parametrize("way", LIGHTS)
def test_light_shows_the_twelve_bit_values_in_the_window_it_says(page: Any, way: str) -> None:
    flip(page, "light")
    check_shades(page)
    first, before = window(page), matrix(page)
    LIGHTS[way](page)
    level, width = window(page)
    assert level < first[0] and width < first[1]
    check_shades(page)
    assert matrix(page) == before
    act(page, "light-reset")
    assert window(page) == first
    check_shades(page)


def test_a_narrow_window_tells_values_apart_that_eight_bits_show_alike(page: Any) -> None:
    flip(page, "light")
    page.get_by_role("slider", name="Contrast").fill("95")
    for brightness in range(0, 101, 2):
        page.get_by_role("slider", name="Brightness").fill(str(brightness))
        level, _width = window(page)
        if 500 < level < 700:
            break
    settle(page)
    assert gray(page, 500) == 0 and gray(page, 700) == 255


def test_invert_exchanges_dark_and_bright(page: Any) -> None:
    flip(page, "light")
    shades = [gray(page, value) for value in PATCHES]
    flip(page, "invert")
    assert [gray(page, value) for value in PATCHES] == [255 - one for one in shades]
    check_shades(page, inverted=True)
    press(page, "i")
    assert [gray(page, value) for value in PATCHES] == shades


def check_box_lies_on_the_gap(page: Any) -> None:
    box = page.locator("rect.box").first.bounding_box()
    x, y = on_screen(page, GAP[0] * WIDTH_PX, GAP[1] * HEIGHT_PX)
    scale = matrix(page).scale
    across, down = box["x"] + box["width"] / 2 - x, box["y"] + box["height"] / 2 - y
    assert math.hypot(across, down) < 0.08 * WIDTH_PX * scale


def dark_line(page: Any) -> float:
    """How much darker the break is than the bone above and below it, in the canvas's own shades."""
    read = """(points) => points.map(([x, y]) =>
      document.querySelector(".grays").getContext("2d").getImageData(x, y, 1, 1).data[0])"""
    x = GAP[0] * WIDTH_PX
    points = [matrix(page)(x, HEIGHT_PX * share) for share in (GAP[1], 0.41, 0.53)]
    line, above, below = page.evaluate(read, points)
    return float((above + below) / 2 - line)


def test_turning_keeps_picture_and_box_together(page: Any) -> None:
    for turns in range(1, 5):
        act(page, "turn-right")
        placed = matrix(page)
        assert math.degrees(math.atan2(placed.b, placed.a)) % 360 == pytest.approx(90 * turns % 360)
        check_box_lies_on_the_gap(page)
        assert dark_line(page) > 20
    press(page, "[", "+", "+", "ArrowDown")
    check_box_lies_on_the_gap(page)
    act(page, "turn-left")
    check_box_lies_on_the_gap(page)
    keep(page, "turned")


NAME = """() => {
  const box = document.querySelector("rect.box");
  const [x, y, w, h] = ["x", "y", "width", "height"].map((key) => Number(box.getAttribute(key)));
  const name = document.createElementNS("http://www.w3.org/2000/svg", "text");
  name.setAttribute("class", "box-name");
  name.textContent = "1";
  Object.assign(name.dataset, { left: x, top: y, right: x + w, bottom: y + h });
  box.parentNode.append(name);
}"""  # as the page writes it for pictures with more than one box


def test_the_number_of_a_box_stays_upright_and_above_it(page: Any) -> None:
    page.evaluate(NAME)
    for keys in (["+"], ["]"], ["]"], ["]"], ["]", "0"]):
        press(page, *keys)
        box, name = page.locator("rect.box").bounding_box(), page.locator(".box-name").bounding_box()
        assert name["height"] > name["width"] and 20 < name["height"] < 40
        assert abs(name["x"] - box["x"]) < 12
        assert abs(name["y"] + name["height"] - box["y"]) < 12


def length(page: Any) -> float:
    return float(page.locator("[data-length]").inner_text().split()[1].replace(",", ""))


def tap(page: Any, point: tuple[float, float]) -> None:
    touch(page, "touchStart", point)
    touch(page, "touchEnd")
    settle(page)


FROM, TO = (150.0, 200.0), (230.0, 330.0)
TRUTH_MM = math.hypot((TO[0] - FROM[0]) * COLUMN_MM, (TO[1] - FROM[1]) * ROW_MM)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("closer", [0, 1])
def test_two_taps_measure_millimetres_however_it_is_turned_and_enlarged(
    page: Any, turns: int, closer: int
) -> None:
    press(page, *"]" * turns, *"+" * closer)
    flip(page, "ruler")
    assert "Touch where the length begins." in page.locator("[data-length]").inner_text()
    for point in (FROM, TO):
        tap(page, on_screen(page, *point))
    a_pixel_mm = max(ROW_MM, COLUMN_MM) / matrix(page).scale
    assert length(page) == pytest.approx(TRUTH_MM, abs=2 * a_pixel_mm + 0.05)
    assert "mm by the scale of the file" in page.locator("[data-length]").inner_text()
    before = length(page)
    press(page, "]", "+")
    assert length(page) == before
    keep(page, f"ruler-{turns}-{closer}")


def test_an_end_of_the_ruler_can_be_dragged_and_the_rest_still_moves(page: Any) -> None:
    flip(page, "ruler")
    for point in (FROM, (230.0, 200.0)):
        tap(page, on_screen(page, *point))
    assert length(page) == pytest.approx(80 * COLUMN_MM, abs=0.4)
    start, end = on_screen(page, 230, 200), on_screen(page, 310, 200)
    touch(page, "touchStart", start)
    touch(page, "touchMove", ((start[0] + end[0]) / 2, start[1]))
    touch(page, "touchMove", end)
    touch(page, "touchEnd")
    assert length(page) == pytest.approx(160 * COLUMN_MM, abs=0.4)
    act(page, "ruler-clear")
    assert page.locator(".ruler-line").count() == 0


def test_the_ruler_by_buttons_moves_one_end_or_the_other(page: Any) -> None:
    flip(page, "ruler")
    act(page, "ruler-other")
    first = length(page)
    for _ in range(5):
        act(page, "ruler-right")
    longer = length(page)
    a_pixel_mm = COLUMN_MM / matrix(page).scale
    assert longer - first == pytest.approx(5 * a_pixel_mm, abs=0.1)
    act(page, "ruler-other")
    for _ in range(5):
        act(page, "ruler-right")
    assert length(page) == pytest.approx(first, abs=0.1)


def test_without_a_scale_the_ruler_counts_pixels_and_says_so(viewer_page: Any, viewer_kiosk: Any) -> None:
    send(viewer_page, viewer_kiosk, plain(sample.NONE, next(_SEEDS)))
    flip(viewer_page, "ruler")
    for point in (FROM, TO):
        tap(viewer_page, on_screen(viewer_page, *point))
    said = viewer_page.locator("[data-length]").inner_text()
    assert "pixels; the file gives no scale" in said and "mm" not in said
    assert length(viewer_page) == pytest.approx(math.dist(FROM, TO), abs=3)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"ImagerPixelSpacing": [ROW_MM, COLUMN_MM]}, "mm at the detector: the bone is smaller"),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [ROW_MM, COLUMN_MM]},
            "mm in the patient, as the file estimates",
        ),
    ],
)
def test_the_ruler_says_where_its_millimetres_hold(
    viewer_page: Any, viewer_kiosk: Any, elements: dict[str, Any], words: str
) -> None:
    picture = {
        "name": "a.dcm",
        "mimeType": "application/octet-stream",
        "buffer": dicom(forearm(sample.NONE, next(_SEEDS)), **elements),
    }
    send(viewer_page, viewer_kiosk, picture)
    flip(viewer_page, "ruler")
    for point in (FROM, TO):
        tap(viewer_page, on_screen(viewer_page, *point))
    assert words in viewer_page.locator("[data-length]").inner_text()
    assert length(viewer_page) == pytest.approx(TRUTH_MM, abs=0.8)


def test_oblong_pixels_are_drawn_as_long_as_they_are(page: Any, chromium: Any) -> None:
    placed = matrix(page)
    assert placed.d / placed.a == pytest.approx(ROW_MM / COLUMN_MM)
    bare = chromium.new_context(java_script_enabled=False)
    opened = bare.new_page()
    opened.goto(page.url)
    shape = opened.locator("image.shown").bounding_box()
    assert shape["height"] / shape["width"] == pytest.approx(
        HEIGHT_PX * ROW_MM / (WIDTH_PX * COLUMN_MM), rel=0.01
    )
    bare.close()


def test_the_first_touch_of_light_does_not_jump_from_a_window_beyond_the_values(
    viewer_page: Any, viewer_kiosk: Any
) -> None:
    file = dicom(forearm(sample.NONE, next(_SEEDS)), WindowCenter=4500, WindowWidth=3000)
    picture = {"name": "a.dcm", "mimeType": "application/octet-stream", "buffer": file}
    send(viewer_page, viewer_kiosk, picture)
    flip(viewer_page, "light")
    level, width = window(viewer_page)
    assert (level, width) == (4500, 3000)
    finger(viewer_page, 0, -8)
    after = window(viewer_page)
    assert after[0] == pytest.approx(level, abs=200) and after[1] == pytest.approx(width, abs=30)


def test_every_tool_by_the_keyboard_alone(page: Any) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('stage')"):
            break
    keep(page, "keyboard")
    before = matrix(page)
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert matrix(page).scale > before.scale
    page.keyboard.press("0")
    page.keyboard.press("]")
    assert matrix(page).a == pytest.approx(0, abs=1e-6)
    page.keyboard.press("w")
    first = window(page)
    page.keyboard.press("ArrowUp")
    assert window(page) != first
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.keyboard.press("ArrowRight")  # there is a ruler now
    start = length(page)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowLeft")
    a_pixel_mm = (
        COLUMN_MM / matrix(page).scale
    )  # rows lie across now, as far apart on the stage as in the patient
    assert length(page) - start == pytest.approx(20 * a_pixel_mm, abs=0.11)
    page.keyboard.press("Delete")
    settle(page)
    assert page.locator(".ruler-line").count() == 0
    page.keyboard.press("f")
    settle(page)
    assert not page.locator(".panel").is_visible()
    page.keyboard.press("f")
    assert page.locator(".panel").is_visible()


def test_the_whole_screen_keeps_the_answer_and_the_line_that_says_what_it_is(page: Any) -> None:
    flip(page, "whole")
    page.wait_for_timeout(200)
    stage = page.locator(".stage").bounding_box()
    assert stage["width"] == 1280 and not page.locator(".top").is_visible()
    assert page.locator(".stamp", has_text="Fracture suspected").is_visible()
    assert page.get_by_text("AI result, not a diagnosis").is_visible()
    check_box_lies_on_the_gap(page)
    keep(page, "whole")
    flip(page, "whole")
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()
