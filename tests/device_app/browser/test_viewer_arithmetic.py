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
    names = "const { geometry, gray, ruler } = ulna;"
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
        assert (a, b) == pytest.approx((d, -c))


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
