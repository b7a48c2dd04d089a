"""The pure parts of the viewer's scripts, as the browser runs them, against formulas written anew here."""

from __future__ import annotations

import base64
import gzip
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from device_app.gray_values import pack
from device_app.place_words import region_of
from device_app.places import require_within
from device_app.readings import Place
from tests.device_app import sample
from tests.device_app.browser.viewing import plain, send

pytestmark = pytest.mark.browser
SEED = 20260101
CASES = 300


@pytest.fixture(scope="module")
def page(chromium: Any, viewer_kiosk: Any) -> Iterator[Any]:
    opened = chromium.new_page()
    opened.set_default_timeout(60_000)
    send(opened, viewer_kiosk, plain(sample.NONE, 300))
    yield opened
    opened.close()


def places(count: int = CASES) -> list[dict[str, Any]]:
    """Pictures of any shape on stages of any shape, looked at anyhow."""
    chance = random.Random(SEED)
    found = []
    for _ in range(count):
        width, height = chance.randint(1, 4000), chance.randint(1, 4000)
        place = {
            "width": width,
            "height": height,
            "aspect": chance.choice([1, chance.uniform(0.25, 4)]),
            "stageWidth": chance.randint(50, 2000),
            "stageHeight": chance.randint(50, 2000),
        }
        view = {
            "zoom": chance.uniform(1, 30),
            "x": chance.uniform(0, width),
            "y": chance.uniform(0, height),
            "turn": chance.randint(0, 3),
        }
        stage = {"x": chance.uniform(0, place["stageWidth"]), "y": chance.uniform(0, place["stageHeight"])}
        point = {"x": chance.uniform(0, width), "y": chance.uniform(0, height)}
        factor = chance.uniform(0.2, 5)
        found.append({"place": place, "view": view, "stage": stage, "point": point, "factor": factor})
    return found


def on_each(page: Any, expression: str, cases: list[Any]) -> list[Any]:
    """An expression of JavaScript over `one`, for each case."""
    names = "const { geometry, gray, places, ruler } = ulna;"
    return list(page.evaluate(f"(cases) => {{ {names} return cases.map((one) => {expression}); }}", cases))


def test_the_way_to_the_stage_and_back_ends_where_it_began(page: Any) -> None:
    cases = places()
    there = "geometry.toPicture(one.view, one.place, geometry.toStage(one.view, one.place, one.point))"
    for case, back in zip(cases, on_each(page, there, cases), strict=True):
        assert (back["x"], back["y"]) == pytest.approx((case["point"]["x"], case["point"]["y"]), abs=1e-6)


def test_the_matrix_says_the_same_as_the_way_to_the_stage(page: Any) -> None:
    cases = places()
    both = "[geometry.matrix(one.view, one.place), geometry.toStage(one.view, one.place, one.point)]"
    for case, ((a, b, c, d, e, f), at) in zip(cases, on_each(page, both, cases), strict=True):
        x, y = case["point"]["x"], case["point"]["y"]
        assert (a * x + c * y + e, b * x + d * y + f) == pytest.approx((at["x"], at["y"]), abs=1e-4)
        aspect = case["place"]["aspect"]
        assert (a * aspect, b * aspect) == pytest.approx((d, -c))
        assert math.hypot(a, b) > 0 and min(abs(a), abs(b)) < 1e-9, "quarter turns only"


def test_a_millimetre_is_as_long_across_as_down_whatever_the_pixels(page: Any) -> None:
    cases = places()
    both = (
        "[[1, 0], [0, 1]].map(([x, y]) => {"
        " const from = geometry.toStage(one.view, one.place, { x: 0, y: 0 });"
        " const to = geometry.toStage(one.view, one.place, { x, y });"
        " return Math.hypot(to.x - from.x, to.y - from.y); })"
    )
    for case, (column, line) in zip(cases, on_each(page, both, cases), strict=True):
        assert line == pytest.approx(column * case["place"]["aspect"])


def test_what_stands_upright_keeps_its_size_at_its_point(page: Any) -> None:
    cases = places()
    both = "[geometry.matrix(one.view, one.place), geometry.upright(one.view, one.place, one.point)]"
    for case, (scene, label) in zip(cases, on_each(page, both, cases), strict=True):
        whole = _affine(scene) @ _affine(label)
        assert whole[:2, :2] == pytest.approx(np.eye(2), abs=1e-9)
        assert _affine(label)[:2, 2] == pytest.approx((case["point"]["x"], case["point"]["y"]))


def _affine(parts: list[float]) -> Any:
    a, b, c, d, e, f = parts
    return np.array([[a, c, e], [b, d, f], [0, 0, 1]])


def test_a_picture_is_never_lost_from_the_stage(page: Any) -> None:
    """It covers the stage in each direction in which it is larger, and lies in the middle where it is not."""
    cases = places()
    moves = (
        "[geometry.kept(one.view, one.place), geometry.zoomed(one.view, one.place, one.factor, one.stage),"
        " geometry.moved(one.view, one.place, 5000, -5000), geometry.turned(one.view, one.place, 1)]"
        ".map((view) => [[0, 0], [one.place.width, one.place.height]].map(([x, y]) =>"
        " geometry.toStage(view, one.place, { x, y })))"
    )
    for case, views in zip(cases, on_each(page, moves, cases), strict=True):
        for (one, other), (axis, length) in (
            (corners, pair) for corners in views for pair in (("x", "stageWidth"), ("y", "stageHeight"))
        ):
            low, high = sorted((one[axis], other[axis]))
            stage = case["place"][length]
            if high - low > stage + 1e-6:
                assert low <= 1e-4 and high >= stage - 1e-4
            else:
                assert (low + high) / 2 == pytest.approx(stage / 2, abs=1e-4)


def test_lengths_follow_the_spacing_of_rows_and_columns(page: Any) -> None:
    chance = random.Random(SEED)
    cases = [
        {
            "from": {"x": chance.uniform(0, 3000), "y": chance.uniform(0, 3000)},
            "to": {"x": chance.uniform(0, 3000), "y": chance.uniform(0, 3000)},
            "scale": {"rowMm": chance.uniform(0.01, 2), "columnMm": chance.uniform(0.01, 2)},
        }
        for _ in range(CASES)
    ]
    both = "[ruler.length(one.from, one.to, one.scale), ruler.length(one.from, one.to, null)]"
    for case, found in zip(cases, on_each(page, both, cases), strict=True):
        across, down = case["to"]["x"] - case["from"]["x"], case["to"]["y"] - case["from"]["y"]
        row_mm, column_mm = case["scale"]["rowMm"], case["scale"]["columnMm"]
        expected = math.hypot(across * column_mm, down * row_mm), math.hypot(across, down)
        assert tuple(found) == pytest.approx(expected)


def test_shades_and_the_sliders_own_figures(page: Any) -> None:
    chance = random.Random(SEED)
    cases = []
    for _ in range(CASES):
        least = chance.randint(0, 60_000)
        bounds = {"least": least, "most": chance.randint(least + 300, 65_535)}
        cases.append(
            {
                "bounds": bounds,
                "window": {"low": least - 5, "high": bounds["most"] + 5, "inverted": chance.random() < 0.5},
                "value": chance.randint(least, bounds["most"]),
                "bright": chance.randint(0, 100),
                "contrast": chance.randint(0, 100),
            }
        )
    ask = """(() => {
      const bright = gray.withBrightness(one.window, one.bounds, one.bright);
      const both = gray.withContrast(bright, one.bounds, one.contrast);
      const sliders = [gray.brightness(both, one.bounds), gray.contrast(both, one.bounds)];
      return [both, gray.shade(one.value, both), ...sliders];
    })()"""
    for case, (window, shade, bright, contrast) in zip(cases, on_each(page, ask, cases), strict=True):
        unit = min(max((case["value"] - window["low"]) / (window["high"] - window["low"]), 0), 1)
        expected = 255 * (1 - unit if case["window"]["inverted"] else unit)
        assert abs(shade - expected) <= 0.51, json.dumps(case)
        assert (bright, contrast) == pytest.approx((case["bright"], case["contrast"]), abs=0.01)


def test_sliders_begin_at_the_first_window_wherever_it_lies(page: Any) -> None:
    """A touch that changes nothing leaves the window as it is: nothing jumps."""
    chance = random.Random(SEED)
    cases = []
    for _ in range(CASES):
        least = chance.randint(0, 60_000)
        most = chance.randint(least + 1, 65_535)
        level, width = chance.uniform(-30_000, 100_000), chance.uniform(0.5, 4 * (most - least))
        window = {"low": level - width / 2, "high": level + width / 2, "inverted": False}
        cases.append({"bounds": {"least": least, "most": most}, "window": window})
    ask = """(() => {
      const reach = gray.reach(one.bounds, one.window);
      const bright = gray.withBrightness(one.window, reach, gray.brightness(one.window, reach));
      return gray.withContrast(bright, reach, gray.contrast(bright, reach));
    })()"""
    for case, after in zip(cases, on_each(page, ask, cases), strict=True):
        before = case["window"]
        assert (after["low"], after["high"]) == pytest.approx(
            (before["low"], before["high"]), rel=1e-6, abs=1e-6
        )


def sheets(count: int = CASES) -> list[dict[str, Any]]:
    """Places on pictures of any size, and ways to go."""
    chance = random.Random(SEED)
    found = []
    for _ in range(count):
        width, height = chance.randint(5, 4000), chance.randint(5, 4000)
        x0, y0 = chance.uniform(0, width - 3), chance.uniform(0, height - 3)
        x1, y1 = chance.uniform(x0 + 2.5, width), chance.uniform(y0 + 2.5, height)
        found.append(
            {
                "sheet": {"width": width, "height": height},
                "place": {"image": 7, "x0": x0, "y0": y0, "x1": x1, "y1": y1},
                "by": [chance.uniform(-2 * width, 2 * width), chance.uniform(-2 * height, 2 * height)],
                "corner": chance.randint(0, 3),
                "one": {"x": chance.uniform(-99, width + 99), "y": chance.uniform(-99, height + 99)},
                "other": {"x": chance.uniform(-99, width + 99), "y": chance.uniform(-99, height + 99)},
            }
        )
    return found


def as_place(found: dict[str, float]) -> Place:
    return Place(int(found["image"]), found["x0"], found["y0"], found["x1"], found["y1"])


def test_whatever_is_done_to_a_place_the_box_would_take_it(page: Any) -> None:
    cases = sheets()
    ask = """[places.between(7, one.one, one.other, one.sheet),
      places.shifted(one.place, ...one.by, one.sheet),
      places.withCorner(one.place, one.corner, one.one, one.sheet)]"""
    for case, (drawn, moved, sized) in zip(cases, on_each(page, ask, cases), strict=True):
        sizes = {7: (case["sheet"]["width"], case["sheet"]["height"])}
        require_within([as_place(found) for found in (drawn, moved, sized) if found], sizes)
        before = case["place"]
        assert moved["x1"] - moved["x0"] == pytest.approx(before["x1"] - before["x0"])
        assert moved["y1"] - moved["y0"] == pytest.approx(before["y1"] - before["y0"])
        stays_x, stays_y = (
            ("x0" if case["corner"] in (1, 2) else "x1"),
            ("y0" if case["corner"] >= 2 else "y1"),
        )
        assert (sized[stays_x], sized[stays_y]) == (before[stays_x], before[stays_y])
        if drawn is not None:
            x = sorted(min(max(case[end]["x"], 0), sizes[7][0]) for end in ("one", "other"))
            assert (drawn["x0"], drawn["x1"]) == pytest.approx(tuple(x), abs=0.051)


def test_a_place_moves_as_far_as_it_is_asked_to_within_the_picture(page: Any) -> None:
    cases = [{**case, "by": [share / 9 for share in case["by"]]} for case in sheets()]
    for case, moved in zip(
        cases, on_each(page, "places.shifted(one.place, ...one.by, one.sheet)", cases), strict=True
    ):
        width = case["place"]["x1"] - case["place"]["x0"]
        wanted = min(max(case["place"]["x0"] + case["by"][0], 0), case["sheet"]["width"] - width)
        assert moved["x0"] == pytest.approx(wanted, abs=0.051)


def test_regions_are_the_same_in_the_browser_and_in_the_box(page: Any) -> None:
    cases = sheets()
    for case, found in zip(cases, on_each(page, "places.region(one.place, one.sheet)", cases), strict=True):
        assert found == region_of(as_place(case["place"]), (case["sheet"]["width"], case["sheet"]["height"]))


def test_the_corner_that_arrows_move_stands_lower_right_however_the_picture_is_turned(page: Any) -> None:
    cases = [{**one, **other} for one, other in zip(sheets(), places(), strict=True)]
    ask = """[places.lowerRight(one.view.turn),
      places.corners({ x0: 1, y0: 1, x1: 2, y1: 2 })
        .map((at) => geometry.toStage(one.view, one.place, at))]"""
    for case in cases:
        case["place"] = {
            **case["place"],
            "width": 10,
            "height": 10,
            "stageWidth": 100,
            "stageHeight": 100,
            "aspect": 1,
        }
    for corner, stage in on_each(page, ask, cases):
        assert stage[corner]["x"] == max(at["x"] for at in stage)
        assert stage[corner]["y"] == max(at["y"] for at in stage)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (40, 30)])
def test_the_browser_unpacks_what_the_box_packed(page: Any, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(SEED).integers(0, 65_536, shape).astype(np.uint16)
    values.flat[0], values.flat[-1] = 65_535, 0
    ask = """([text, width, height]) => [...ulna.values.unpack(
      Uint8Array.from(atob(text), (char) => char.charCodeAt(0)), width, height)]"""
    text = base64.b64encode(gzip.decompress(pack(values))).decode()
    assert page.evaluate(ask, [text, shape[1], shape[0]]) == values.ravel().tolist()
    with pytest.raises(Exception, match="bytes of values, expected"):
        page.evaluate(ask, [text, shape[1] + 1, shape[0]])
