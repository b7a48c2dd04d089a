"""How a run's patients are divided, and what is looked for between the sets before anything is made."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from rich.console import Console

from compress.datasets.leaks import LOOKS
from compress.datasets.registry import open_dataset
from compress.datasets.splits import split_by_patient
from compress.look_alikes import check_looks
from compress.matrix.recipe import load_matrix_recipe, shipped_matrices
from compress.options.data import DataOptions, SyntheticOptions
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe, shipped_recipes
from compress.trunk import train_plan
from compress.workbench import Workbench, open_workbench, recipe_table
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec
from tests.compress.datasets.folders import row, write_table
from tests.compress.datasets.test_perceptual import picture

COUNT = 48
RECIPE = Recipe("small", preprocess=PreprocessSpec(size_px=32))
COLUMNS = ("image_id", "file", "fractured", "body_part", "view", "group", "boxes", "split")


def write_data(folder: Path, copies: int = 0, publisher: bool = False, together: bool = False) -> Path:
    """One image a patient. The first patients' images are those of the last ones, smaller: `copies` of them.

    publisher: two of every twelve images are for validation, the others for training. together: original and
    copy are one group.
    """
    rows = []
    for number in range(COUNT):
        group = number + COUNT - copies if together and number < copies else number
        named = "valid" if number % 12 < 2 else "train"
        told = {"body_part": "hand", "group": f"g{group}", "split": named if publisher else ""}
        rows.append(row(number, fractured=number % 2, boxes="[]", **told))
    write_table(folder, rows, COLUMNS)
    (folder / "images").mkdir()
    for number in range(COUNT):
        pixels = picture(number)
        if number < copies:
            pixels = cv2.resize(picture(number + COUNT - copies), None, fx=0.6, fy=0.6)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
    return folder


def recipe(**data: object) -> Recipe:
    return replace(RECIPE, data=DataOptions(**data))  # type: ignore[arg-type]


def opened(given: Recipe, folder: Path, data: Path | None) -> tuple[Workbench, str]:
    """The workbench, and what was said."""
    said = io.StringIO()
    reporter = ProgressReporter(Console(file=said, width=400))
    return open_workbench(given, folder, data, reporter), said.getvalue()


def pairs_between_sets(folder: Path) -> set[tuple[str, str]]:
    """(original, copy) as look_alikes.csv lists them."""
    with (folder / "look_alikes.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert all(each["kind"] == LOOKS and each["first_set"] != each["second_set"] for each in rows)
    return {(each["first"], each["second"]) for each in rows}


def expected_pairs(data: Path, copies: int) -> set[tuple[str, str]]:
    """The copies whose original the division puts into another set."""
    options = DataOptions()
    splits = split_by_patient(open_dataset(data).cases, options.split, options.split_seed)
    home = {case.case_id: name for name, cases in splits.items() for case in cases}
    couples = [tuple(sorted((f"image{n}", f"image{n + COUNT - copies}"))) for n in range(copies)]
    return {(one, other) for one, other in couples if home[one] != home[other]}


def test_copies_in_two_sets_are_refused_and_every_pair_is_listed(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", copies=8)
    with pytest.raises(StepError, match=r"the sets share images: .* near-duplicates, ") as caught:
        opened(RECIPE, tmp_path / "run", data)
    expected = expected_pairs(data, 8)
    assert expected and pairs_between_sets(tmp_path / "run") == expected
    assert all(repr(name) in str(caught.value) for pair in expected for name in pair)
    for word in ("groups.csv", "ulna data inspect", 'look_alikes = "warn"', "look_alikes.csv"):
        assert word in caught.value.hint


def test_copies_in_one_group_are_let_pass_and_the_former_list_goes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "look_alikes.csv").write_text("of a former division")
    opened(RECIPE, tmp_path / "run", write_data(tmp_path / "data", copies=8, together=True))
    assert not (tmp_path / "run" / "look_alikes.csv").exists()


def test_a_recipe_may_ask_for_a_warning_alone(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", copies=8)
    bench, said = opened(recipe(look_alikes="warn"), tmp_path / "run", data)
    pairs = pairs_between_sets(tmp_path / "run")
    assert len(bench.dataset.cases) == COUNT and pairs == expected_pairs(data, 8)
    assert f"warning: {len(pairs)} pairs of look-alikes in two sets" in said
    assert all(repr(first) in said for first, _ in pairs)


def test_a_recipe_may_ignore_looks_and_then_no_fingerprint_is_taken(tmp_path: Path) -> None:
    _, said = opened(recipe(look_alikes="ignore"), tmp_path / "run", write_data(tmp_path / "data", copies=8))
    assert "look-alikes" not in said
    assert not list((tmp_path / "run" / "cache").glob("fingerprints-*"))


def test_a_resumed_run_takes_no_fingerprint_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_data(tmp_path / "data")
    opened(RECIPE, tmp_path / "run", data)
    (kept,) = (tmp_path / "run" / "cache").glob("fingerprints-*")
    before = kept.stat().st_mtime_ns
    monkeypatch.setattr("compress.datasets.fingerprints.fingerprints_of", _never)
    opened(RECIPE, tmp_path / "run", data)
    assert kept.stat().st_mtime_ns == before


def _never(*_: object) -> None:
    raise AssertionError("an image was read again")


def test_computed_radiographs_are_not_compared(tmp_path: Path) -> None:
    computed = recipe(synthetic=SyntheticOptions(patients=24, long_side_px=64))
    opened(computed, tmp_path / "run", None)
    assert not list((tmp_path / "run" / "cache").glob("fingerprints-*"))


def test_what_is_made_of_look_alikes_is_no_part_of_a_steps_key(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    keys = {
        train_plan(opened(recipe(look_alikes=how), tmp_path / how, data)[0]).key
        for how in ("refuse", "warn", "ignore")
    }
    assert len(keys) == 1


def test_the_publishers_division_is_followed_where_the_recipe_says_so(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", publisher=True)
    bench, _ = opened(recipe(official=True), tmp_path / "run", data)
    valid = {case.case_id for case in bench.dataset.cases if case.tags["split"] == "valid"}
    assert valid and {case.case_id for case in bench.splits.test} == valid
    assert recipe_table(bench.recipe)["data"]["official"] is True
    other, _ = opened(RECIPE, tmp_path / "other", data)
    assert {case.case_id for case in other.splits.test} != valid


def test_copies_on_both_sides_of_the_publishers_division_are_refused_too(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", copies=2, publisher=True)
    with pytest.raises(StepError, match=r"'image1' in test and 'image47' in .*: near-duplicates"):
        opened(recipe(official=True), tmp_path / "run", data)


def test_without_a_publishers_division_following_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="no official division to follow: its sets are none") as caught:
        opened(recipe(official=True), tmp_path / "run", write_data(tmp_path / "data"))
    assert "official = false" in caught.value.hint
    with pytest.raises(StepError, match="computed radiographs have no publisher") as caught:
        opened(recipe(official=True), tmp_path / "computed", None)
    assert "--data" in caught.value.hint and not (tmp_path / "computed").exists()


def test_shipped_recipes_are_not_refused_for_look_alikes_of_real_radiographs(
    tmp_path: Path, real_data: Path
) -> None:
    dataset = open_dataset(real_data / "fracatlas")
    recipes = [load_recipe(name) for name in shipped_recipes()]
    recipes += [load_matrix_recipe(name).shared for name in shipped_matrices()]
    for how in (each.data for each in recipes):
        assert how.look_alikes == "refuse"
        splits = split_by_patient(dataset.cases, how.split, how.split_seed, how.stratify)
        check_looks(dataset, splits, how.look_alikes, tmp_path, ProgressReporter(Console(quiet=True)))
    assert list(tmp_path.glob("cache/fingerprints-*.npz")) and not (tmp_path / "look_alikes.csv").exists()
