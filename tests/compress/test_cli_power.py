"""The verb `power`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from compress.cli import app
from compress.datasets.registry import open_dataset
from compress.datasets.splits import split_by_patient
from compress.recipe import load_recipe
from runtime.errors import RecipeError

from .easy_data import write_easy_data

NUMBERS = ("--fractured", 40, "--healthy", 80, "--patients", 60)


def run(*arguments: object) -> Any:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["power", *map(str, arguments)])


def test_numbers_give_a_table_and_one_conclusion() -> None:
    done = run(*NUMBERS)
    assert done.exit_code == 0, done.output
    for words in ("AUROC", "sensitivity", "specificity", "at best", "typically", "A margin of 0.02"):
        assert words in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith(("Every margin", "Not even two equal models"))


def test_json_holds_the_same_for_other_assumptions() -> None:
    usual, bold = (
        json.loads(run(*NUMBERS, "--json", *more).stdout)
        for more in ((), ("--changed", 0.1, "--agreement", 0.9, "--margin", 0.1, "--auroc", 0.8))
    )
    assert [figure["patients"] for figure in usual["figures"]] == [20, 20, 40]
    assert bold["need"]["margin"] == 0.1
    assert bold["need_at_best"]["fractured"] < usual["need_at_best"]["fractured"]
    for before, after in zip(usual["figures"][1:], bold["figures"][1:], strict=True):
        assert after["typical"] > before["typical"]
        assert after["best"] == before["best"]


def test_data_are_divided_as_a_run_divides_them_and_no_image_is_decoded(tmp_path: Path) -> None:
    data, recipe = write_easy_data(tmp_path / "easy"), Path(__file__).with_name("easy.toml")
    plan = load_recipe(recipe)
    gate = split_by_patient(open_dataset(data).cases, plan.data.split, plan.data.split_seed).gate
    for image in data.rglob("*.png"):
        image.write_bytes(f"no picture {image.name}".encode())
    done = run("--recipe", recipe, "--data", data, "--json")
    assert done.exit_code == 0, done.output
    area, ill, well = json.loads(done.stdout)["figures"]
    assert area["images"] == len(gate)
    assert ill["images"] == sum(case.label for case in gate)
    assert well["patients"] == len({case.patient_id for case in gate if not case.label})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --data"),
        (NUMBERS[:4], "either --data"),
        ((*NUMBERS, "--data", "here"), "either --data"),
        (("--fractured", 0, "--healthy", 5, "--patients", 1), "got 0"),
        ((*NUMBERS, "--changed", 1), "changed"),
        ((*NUMBERS, "--margin", 0), "margin"),
    ],
)
def test_what_is_contradictory_is_a_usage_error(arguments: tuple[object, ...], words: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_an_unknown_recipe_is_refused() -> None:
    assert isinstance(run(*NUMBERS, "--recipe", "nosuch").exception, RecipeError)
