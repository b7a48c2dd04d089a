"""`detect --examination`, run as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import UlnaError
from tests.runtime.schema import problems
from tests.runtime.test_cli_detect import clinic, run

__all__ = ["clinic"]


def told(clinic: Path, *names: str) -> tuple[int, Any]:
    result = run(clinic, *(clinic / name for name in names), "--examination", "--json")
    return result.exit_code, json.loads(result.stdout)


def test_one_answer_is_said_for_all_views_with_the_places_of_each(clinic: Path) -> None:
    result = run(clinic, clinic / "broken.png", clinic / "broken.png", "--examination")

    assert result.exit_code == 0
    assert result.stdout.startswith("examination of 2 views: Fracture suspected (probability ")
    assert result.stdout.count("place 1: x ") == 2
    assert result.stdout.count("Fracture suspected") == 1
    assert result.stdout.strip().endswith("AI result, not a diagnosis")


def test_views_without_a_fracture_are_told_so_once(clinic: Path) -> None:
    result = run(clinic, clinic / "whole.png", clinic / "whole.png", "--examination")

    assert result.exit_code == 0
    assert result.stdout.count("No fracture found") == 1
    assert "place" not in result.stdout


@pytest.mark.parametrize("names", [("whole.png", "cut.png"), ("gone.png", "whole.png"), ("cut.png",)])
def test_a_view_that_cannot_be_read_leaves_no_answer_that_looks_like_none(
    clinic: Path, names: tuple[str, ...]
) -> None:
    result = run(clinic, *(clinic / name for name in names), "--examination")

    assert result.exit_code == 1
    assert "No answer for this examination" in result.stdout
    assert "no fracture" not in result.stdout.lower()
    assert "cannot read: " in result.stdout


def test_a_view_that_cannot_be_read_hides_no_fracture_of_another(clinic: Path) -> None:
    code, table = told(clinic, "cut.png", "broken.png")

    assert (code, table["verdict"], table["contributed"]) == (1, "fracture", [1])
    assert [item["view"] for item in table["unread"]] == [0]


def test_json_is_one_object_as_the_schema_says_with_each_file_in_its_place(clinic: Path) -> None:
    code, table = told(clinic, "whole.png", "broken.png", "whole.png")

    assert code == 0
    assert problems(table, "examination-1.json") == []
    assert [Path(view["file"]).name for view in table["views"]] == ["whole.png", "broken.png", "whole.png"]
    assert [bool(view["boxes"]) for view in table["views"]] == [False, True, False]
    assert table["verdict"] in ("doubt", "fracture")


def test_one_file_gets_the_answer_that_it_gets_alone(clinic: Path) -> None:
    alone = json.loads(run(clinic, clinic / "broken.png", "--json").stdout)
    _, table = told(clinic, "broken.png")

    assert (table["verdict"], table["probability"]) == (alone["verdict"], alone["probability"])


def test_pictures_of_single_views_are_not_drawn_beside_one_answer_for_all(
    clinic: Path, tmp_path: Path
) -> None:
    result = run(clinic, clinic / "broken.png", "--examination", "--overlay", tmp_path / "out.png")

    assert isinstance(result.exception, UlnaError)
    assert not (tmp_path / "out.png").exists()
