"""Which pictures get no answer, counted through the kiosk's own judgement."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import refusals
from benchmarks.refusals import Picture, in_gray, others_in, row_of
from compress.datasets.registry import open_dataset
from runtime.reference import open_named
from tests.compress.easy_data import write_easy_data


def write_photo(path: Path) -> None:
    """Coloured noise: as little of a radiograph as can be."""
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (240, 200, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_pictures_below_a_folder_are_found_and_in_gray_only_those_that_decode(tmp_path: Path) -> None:
    write_photo(tmp_path / "deep" / "a.png")
    write_photo(tmp_path / "b.JPG")
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("none either", encoding="utf-8")

    assert [Path(picture.name).name for picture in others_in(tmp_path, gray=False)] == [
        "b.JPG",
        "c.png",
        "a.png",
    ]
    gray = others_in(tmp_path, gray=True)
    assert [Path(picture.name).name for picture in gray] == ["b.JPG", "a.png"]
    decoded = cv2.imdecode(np.frombuffer(gray[0].data(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.shape == (240, 200)
    assert in_gray(tmp_path / "c.png") == b""


def test_a_row_counts_refusals_by_their_code_with_an_interval_that_respects_patients() -> None:
    def said(groups: list[str]) -> list[tuple[Picture, str]]:
        codes = ["answered", "damaged", "unfamiliar", "unfamiliar"] * (len(groups) // 4)
        return [
            (Picture(str(i), group, bytes), code)
            for i, (group, code) in enumerate(zip(groups, codes, strict=True))
        ]

    alone = row_of("photos", said([str(i) for i in range(40)]))
    together = row_of("photos", said([str(i // 20) for i in range(40)]))
    assert (alone["asked"], alone["refused"], alone["share"]) == (40, 30, 0.75)
    assert alone["by"] == "unfamiliar 20, damaged 10"
    assert alone["95%"][0] < 0.75 < alone["95%"][1]
    assert together["95%"][1] - together["95%"][0] > alone["95%"][1] - alone["95%"][0]


@pytest.mark.slow
def test_the_command_asks_the_reference_model_and_lists_what_it_judged_wrongly(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "a.png")
    write_photo(tmp_path / "photos" / "bb.png")
    data = write_easy_data(tmp_path / "easy", patients=4)
    app = typer.Typer()
    app.command()(refusals.main)
    arguments = ["--others", str(tmp_path / "photos"), "--data", str(data)]
    outputs = ["--out", str(tmp_path / "out.json"), "--wrong", str(tmp_path / "wrong.txt")]
    done = CliRunner().invoke(app, [*arguments, *outputs], catch_exceptions=False)

    assert done.exit_code == 0
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["bundle"]["name"] == open_named(None, None).manifest.name
    rows = {row["pictures"]: row for row in result["rows"]}
    assert rows["photos, as they are"]["refused"] == rows["photos, as they are"]["asked"] == 2
    assert rows["photos, in gray"]["share"] == 1.0
    radiographs = rows["radiographs"]
    assert radiographs["asked"] == len(open_dataset(data).cases)
    # Computed pictures are small and strange to the model: what matters is that each is told.
    wrong = (tmp_path / "wrong.txt").read_text(encoding="utf-8").splitlines()
    assert len(wrong) == radiographs["refused"]
