"""Names are written as meant, and what becomes of them is counted without flattery."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import burned_in, burned_in_fit
from benchmarks.burned_in import Outcome, table
from benchmarks.burned_in_fit import is_fit
from benchmarks.burned_in_names import FIT_TEXTS, INKS, OTHER_TEXTS, Name, any_name, write
from compress.datasets.registry import open_dataset
from runtime import letter_rows
from tests.bundles import radiograph_pixels
from tests.compress.easy_data import write_easy_data

PLANE = np.repeat(np.repeat((radiograph_pixels(False) >> 4).astype(np.uint8), 2, 0), 2, 1)


def name(ink: str = "white", turn_deg: float = 0.0, worn: bool = False) -> Name:
    return Name("Li Wei", "sans:400", 16, ink, turn_deg, 0.6, worn)


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 10.0])
def test_a_name_lies_where_its_letters_say_and_nowhere_else(ink: str, turn_deg: float) -> None:
    before = PLANE.copy()
    written = write(PLANE, name(ink, turn_deg), (200, 200))
    assert written is not None and np.array_equal(PLANE, before)
    changed = written.pixels != PLANE
    assert changed[written.letters > 0].mean() > 0.9
    rows, columns = np.nonzero(changed)
    assert max(abs(rows - 200).max(), abs(columns - 200).max()) < 80


def test_a_name_that_does_not_fit_is_not_written() -> None:
    assert write(PLANE, name(), (2, 200)) is None


def test_a_letter_is_left_until_most_of_its_ink_is_covered() -> None:
    written = write(PLANE, name(), (200, 200))
    assert written is not None
    nothing = np.zeros(PLANE.shape, bool)
    assert written.left(nothing) == 5, "the space is no letter"
    half = nothing.copy()
    half[:, :200] = True
    assert 0 < written.left(half) < 5 and written.left(~nothing) == 0


def test_names_differ_and_are_the_same_for_the_same_seed() -> None:
    def made() -> list[Name]:
        random = np.random.default_rng(4)
        return [any_name(random, 500) for _ in range(40)]

    assert (
        made() == made()
        and len({one.text for one in made()}) > 8
        and {one.ink for one in made()} == set(INKS)
    )
    assert not set(FIT_TEXTS) & set(OTHER_TEXTS)


def test_a_refused_picture_and_one_without_a_letter_are_names_gone() -> None:
    assert Outcome("p", True, 9).gone and Outcome("p", False, 0).gone
    assert not Outcome("p", False, 1).gone and Outcome("p", False, 2).few_left
    assert not Outcome("p", False, 3).few_left


def test_the_table_counts_names_by_kind_and_pictures_without_one_apart() -> None:
    kinds = ("on the limb", "white", "small", "level", "sharp")
    outcomes = [Outcome(str(n), n % 2 == 0, 5, 0.0, kinds) for n in range(20)]
    outcomes += [Outcome(str(n), n < 5, None, 0.01 * n) for n in range(20)]
    rows = {row["pictures"]: row for row in table(outcomes)}
    assert rows["all names"]["name gone"] == 0.5 and rows["white"]["asked"] == 20
    assert rows["black"]["asked"] == 0 and rows["black"]["name gone"] is None
    assert rows["no name"]["share refused"] == 0.25 and rows["no name"]["name gone"] is None


def test_no_patient_is_both_fitted_and_reported_on(tmp_path: Path) -> None:
    write_easy_data(tmp_path, 30)
    dataset = open_dataset(tmp_path)
    fitted = {case.patient_id for case in dataset.cases if is_fit(case)}
    assert fitted and {case.patient_id for case in dataset.cases if not is_fit(case)}.isdisjoint(fitted)


def test_fit_and_measurement_run_from_data_to_file(tmp_path: Path) -> None:
    write_easy_data(tmp_path / "data", 30)
    burned_in_fit.main(tmp_path / "data", tmp_path / "trees.json", count=8)
    trees = json.loads((tmp_path / "trees.json").read_text())
    assert trees["features"] == list(letter_rows.FEATURES) and len(trees["trees"]) > 10
    burned_in.main(tmp_path / "data", tmp_path / "out.json", count=4)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["kind"] == "burned in" and found["rows"][-1]["asked"] == 4


def test_the_committed_figures_are_of_names_that_nothing_was_fitted_on() -> None:
    path = Path(burned_in.__file__).parent / "results" / "burned-in-fracatlas.json"
    rows = {row["pictures"]: row for row in json.loads(path.read_text())["rows"]}
    assert rows["all names"]["asked"] >= 500 and rows["no name"]["asked"] >= 500
    assert rows["all names"]["95%"][0] > 0.9 and rows["no name"]["share refused"] < 0.15
