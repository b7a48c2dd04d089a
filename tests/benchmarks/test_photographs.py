"""Photographs are made as meant, and what becomes of them is counted without flattery."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import photographs
from benchmarks.photographs import KINDS, Outcome, row_of
from benchmarks.photographs_made import FRAME, Scene, drawn, take
from runtime.findings import Verdict
from tests.bundles import radiograph_pixels
from tests.compress.easy_data import write_easy_data

PLANE = (radiograph_pixels(False) >> 4).astype(np.uint8)
PLAIN = Scene(noise=0.0, veil=0.0)


def gray(scene: Scene) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(take(PLANE, scene).data, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_the_same_scene_gives_the_same_photograph_and_leaves_its_source_alone() -> None:
    before = PLANE.copy()

    assert take(PLANE, drawn(3)).data == take(PLANE, drawn(3)).data
    assert np.array_equal(PLANE, before)
    assert gray(PLAIN).shape == (FRAME[1], FRAME[0])


def test_corners_lie_where_light_steps() -> None:
    made = take(PLANE, PLAIN)
    pixels = gray(PLAIN).astype(int)
    for x, y in made.corners:
        inward = np.sign(np.array(FRAME) / 2 - (x, y))
        inside, outside = (np.round([x, y] + 12 * way * inward).astype(int) for way in (1, -1))
        assert pixels[outside[1], outside[0]] > pixels[inside[1], inside[0]] + 50


@pytest.mark.parametrize(
    "fault",
    [{"glare": 1.0}, {"fall": 0.8}, {"blur": 0.005}, {"shake": 0.02}, {"clutter": True, "panel": 1.1}],
)
def test_every_fault_changes_the_photograph(fault: dict[str, float]) -> None:
    assert np.abs(gray(PLAIN).astype(int) - gray(replace(PLAIN, **fault))).max() > 20


def outcome(file: Verdict, after: Verdict | None, fractured: bool = False, refusal: str = "") -> Outcome:
    error = None if refusal == "film_not_found" else 0.01
    return Outcome(f"{file}{after}{refusal}", fractured, file, after, Verdict.UNREADABLE, refusal, error)


def test_what_was_suspected_and_is_so_no_more_is_counted_and_refusals_are_no_answers() -> None:
    row = row_of(
        "any",
        [
            outcome(Verdict.FRACTURE, Verdict.NONE, fractured=True),
            outcome(Verdict.DOUBT, Verdict.NONE),
            outcome(Verdict.NONE, Verdict.FRACTURE),
            outcome(Verdict.NONE, Verdict.NONE, fractured=True),
            outcome(Verdict.FRACTURE, None, refusal="film_glare"),
            outcome(Verdict.NONE, None, refusal="film_not_found"),
            outcome(Verdict.NONE, Verdict.UNREADABLE, refusal="unfamiliar"),
        ],
    )

    assert (row["asked"], row["film found"], row["photograph refused"], row["picture refused"]) == (
        7,
        6,
        2,
        1,
    )
    assert (row["answered"], row["same"]) == (4, 1)
    assert (row["fracture became none"], row["doubt became none"], row["none became fracture"]) == (1, 1, 1)
    assert (row["broken, said none (file)"], row["broken, said none"]) == (1, 2)
    assert row["for"] == "film_glare 1, film_not_found 1"
    assert row["plain: answered"] == 0 and row["plain: same 95%"] is None
    assert row["corner p50 %"] == pytest.approx(1.0)


@pytest.mark.slow
def test_the_command_photographs_in_every_way_and_writes_what_came_of_it(tmp_path: Path) -> None:
    data = write_easy_data(tmp_path / "easy", patients=4, side_px=256)
    app = typer.Typer()
    app.command()(photographs.main)
    options = ["--data", str(data), "--out", str(tmp_path / "out.json"), "--careful", "2", "--faulty", "1"]
    done = CliRunner().invoke(app, options, catch_exceptions=False)

    assert done.exit_code == 0
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [row["photographed"] for row in rows] == [kind.name for kind in KINDS]
    for row in rows:
        assert row["asked"] >= row["photograph refused"] + row["picture refused"] + row["answered"]
