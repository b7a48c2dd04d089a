from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from compress.datasets.export import groups_csv, pairs_csv, problems_csv, write_labels
from compress.datasets.perceptual import Similar
from compress.datasets.problems import Problem
from compress.datasets.registry import LAYOUTS, open_dataset
from runtime.errors import StepError
from tests.compress.datasets.folders import case, make_folder
from tests.compress.datasets.layouts import make_fracatlas
from tests.compress.datasets.test_registry import MAKERS


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.filterwarnings("ignore:.*(names no patients|label. )")
def test_any_dataset_written_as_a_table_is_the_same_dataset(tmp_path: Path, name: str) -> None:
    root = MAKERS[name](tmp_path / "data")
    original = open_dataset(root)
    write_labels(original.cases, root / "written.csv")
    again = open_dataset(root / "written.csv")
    assert again.digest == original.digest
    for before, after in zip(original.cases, again.cases, strict=True):
        assert before.tags.items() <= after.tags.items()


def test_a_table_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    before = (root / "labels.csv").read_bytes()
    with pytest.raises(StepError, match="is there already"):
        write_labels(open_dataset(root).cases, root / "labels.csv")
    assert (root / "labels.csv").read_bytes() == before


@pytest.mark.filterwarnings("ignore:.*(names no patients|label. )")
def test_a_table_beside_its_images_is_refused(tmp_path: Path) -> None:
    cases = open_dataset(make_fracatlas(tmp_path / "data")).cases
    with pytest.raises(StepError, match=r"must lie above .*: 5 problems"):
        write_labels(cases, tmp_path / "data/Annotations/labels.csv")


def test_a_tag_with_the_name_of_a_column_is_refused(tmp_path: Path) -> None:
    odd = case(0, "a")
    odd.tags["sex"] = "F"
    with pytest.raises(StepError, match="tag 'sex' is a column"):
        write_labels([odd], Path("labels.csv"))


def test_problems_become_one_row_an_image_as_the_exclusion_table_wants_it() -> None:
    text = problems_csv([Problem("cut, off", "b"), Problem("no image"), Problem("x", "a"), Problem("y", "b")])
    assert rows(text) == [{"image_id": "a", "reason": "x"}, {"image_id": "b", "reason": "cut, off; y"}]


def test_pairs_and_groups_are_tables() -> None:
    cases = [case(0, "a"), case(1, "b", 1)]
    (pair,) = rows(pairs_csv([Similar("c0", "c1", 4, 0.99)], cases))
    assert (pair["distance_bits"], pair["first_patient"], pair["second_label"]) == ("4", "a", "1")
    assert rows(groups_csv({"c0": "a"})) == [{"image_id": "c0", "group": "a"}]
