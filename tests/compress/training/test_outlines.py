"""Outlines of fractures: read whole or refused, and learned from in place of boxes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compress.datasets.base import Case
from compress.options.data import DataOptions
from compress.training.outlines import Outlines, outlines_of, read_outlines
from runtime.errors import StepError

TRIANGLE = [[[0.1, 0.1, 0.9, 0.1, 0.1, 0.9]]]
FRACTURE = Case("a", "a", Path("a"), 1, "hand")
HEALTHY = Case("b", "b", Path("b"), 0, "hand")


def test_outlines_are_read_with_every_ring(tmp_path: Path) -> None:
    path = tmp_path / "polygons.json"
    path.write_text(json.dumps({"a": [[[0, 0, 1, 0, 1, 1], [0.5, 0.5, 0.6, 0.5, 0.6, 0.6]]], "b": []}))
    outlines = read_outlines(path).polygons
    assert outlines["a"][0] == ((0, 0), (1, 0), (1, 1))
    assert len(outlines["a"]) == 2
    assert outlines["b"] == ()


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": [1]}'])
def test_what_is_no_table_of_outlines_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "polygons.json"
    path.write_text(text)
    with pytest.raises(StepError, match="outlines"):
        read_outlines(path)


def test_all_wrong_rings_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "polygons.json"
    rings = {
        "odd": [[[0, 0, 1, 0, 1]]],
        "outside": [[[0, 0, 1.5, 0, 1, 1]]],
        "words": [[["a"] * 6]],
        "short": [[[0, 0, 1, 1]]],
    }
    path.write_text(json.dumps(rings))
    with pytest.raises(StepError, match="4 problems") as caught:
        read_outlines(path)
    assert all(name in str(caught.value) for name in rings)


def written(folder: Path, table: object) -> Path:
    (folder / "polygons.json").write_text(json.dumps(table))
    return folder


def test_a_recipe_that_names_none_reads_none(tmp_path: Path) -> None:
    assert outlines_of([FRACTURE], tmp_path, "") == Outlines()


def test_those_beside_the_data_are_found_and_another_file_is_told_by_its_digest(tmp_path: Path) -> None:
    first = outlines_of([FRACTURE], written(tmp_path, {"a": TRIANGLE}), "polygons.json")
    assert first.polygons["a"]
    again = outlines_of([FRACTURE], written(tmp_path, {"a": TRIANGLE, "b": []}), "polygons.json")
    assert first.digest != again.digest != ""


@pytest.mark.parametrize("table", [{}, {"b": []}, {"a": []}, {"another": TRIANGLE}])
def test_outlines_of_no_fracture_of_the_data_are_those_of_other_data(table: object, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="outlines no fracture"):
        outlines_of([FRACTURE, HEALTHY], written(tmp_path, table), "polygons.json")


def test_every_outlined_image_that_is_labelled_healthy_is_named(tmp_path: Path) -> None:
    sound = replace(HEALTHY, case_id="c")
    with pytest.raises(StepError, match=r"2 problems.*b is healthy.*c is healthy"):
        outlines_of(
            [FRACTURE, HEALTHY, sound],
            written(tmp_path, {"a": TRIANGLE, "b": TRIANGLE, "c": TRIANGLE}),
            "polygons.json",
        )


@pytest.mark.parametrize("name", ["../polygons.json", "/data/polygons.json"])
def test_a_recipe_names_no_file_outside_the_data(name: str) -> None:
    with pytest.raises(ValueError, match="folder of the data"):
        DataOptions(outlines=name)


def test_outlines_without_a_folder_of_data_are_refused() -> None:
    with pytest.raises(StepError, match="no data"):
        outlines_of([FRACTURE], None, "polygons.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"polygons\.json"):
        outlines_of([FRACTURE], tmp_path, "polygons.json")
