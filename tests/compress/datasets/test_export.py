from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.datasets.export import groups_csv, pairs_csv, problems_csv, write_labels
from compress.datasets.perceptual import Similar
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading
from compress.datasets.registry import LAYOUTS, open_dataset, read_dataset
from runtime.errors import StepError
from tests.compress.datasets.folders import COLUMNS, case, make_folder, row, write_table
from tests.compress.datasets.layouts import make_class_folders, make_fracatlas, make_mura, make_nih
from tests.compress.datasets.test_registry import MAKERS


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.filterwarnings("ignore:.*(names no patients|label. )")
def test_any_dataset_written_as_a_table_is_the_same_dataset(tmp_path: Path, name: str) -> None:
    root = MAKERS[name](tmp_path / "data")
    original = read_dataset(root)
    write_labels(original, root / "written.csv")
    again = read_dataset(root / "written.csv")
    assert again.dataset().digest == original.dataset().digest
    assert (again.has_patients, again.caution) == (original.has_patients, original.caution)
    for before, after in zip(original.cases, again.cases, strict=True):
        assert before.tags.items() <= after.tags.items()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_fracatlas, "names no patients: every image counts as a patient"),
        (make_class_folders, "names no patients: every image counts as a patient"),
        (make_mura, "abnormal .positive., which is more than fractured"),
        (make_nih, "this dataset knows no fractures"),
    ],
)
def test_what_was_warned_of_is_warned_of_again(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    root = make(tmp_path / "data")
    with pytest.warns(UserWarning, match=words):
        open_dataset(root)
    write_labels(read_dataset(root), root / "labels.csv")
    with pytest.warns(UserWarning, match=words):
        open_dataset(root)


@pytest.mark.filterwarnings("ignore:.*names no patient")
def test_a_study_in_the_place_of_a_patient_stays_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    groups = {n: "p" if n < 2 else "" for n in range(6)}
    write_table(
        folder, [row(n, group=groups[n], study_id=f"s{n // 2}") for n in range(6)], (*COLUMNS, "study_id")
    )
    original = read_dataset(folder)
    write_labels(original, folder / "written.csv")
    again = read_dataset(folder / "written.csv")
    assert again.by_study == original.by_study == {"image2", "image3", "image4", "image5"}
    assert again.dataset().digest == original.dataset().digest


@pytest.mark.filterwarnings("ignore:.*label. 1 where")
def test_a_table_or_caution_of_another_is_not_overwritten_by_halves(tmp_path: Path) -> None:
    root = make_mura(tmp_path / "data")
    reading = read_dataset(root)
    (root / "labels.csv").write_text("mine")
    with pytest.raises(StepError, match=r"labels.csv is there already"):
        write_labels(reading, root / "labels.csv")
    assert not (root / "labels.caution.txt").exists()
    (root / "other.caution.txt").write_text("mine")
    with pytest.raises(StepError, match=r"other.caution.txt is there already"):
        write_labels(reading, root / "other.csv")
    assert not (root / "other.csv").exists()


def test_a_table_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    before = (root / "labels.csv").read_bytes()
    with pytest.raises(StepError, match="is there already"):
        write_labels(read_dataset(root), root / "labels.csv")
    assert (root / "labels.csv").read_bytes() == before


def test_a_table_beside_its_images_is_refused(tmp_path: Path) -> None:
    reading = read_dataset(make_fracatlas(tmp_path / "data"))
    with pytest.raises(StepError, match=r"must lie above .*: 5 problems"):
        write_labels(reading, tmp_path / "data/Annotations/labels.csv")


def test_a_tag_with_the_name_of_a_column_is_refused(tmp_path: Path) -> None:
    odd = case(0, "a")
    odd.tags["sex"] = "F"
    with pytest.raises(StepError, match="tag 'sex' is a column"):
        write_labels(Reading("table", Path(), (odd,)), Path("labels.csv"))


def test_problems_become_one_row_an_image_as_the_exclusion_table_wants_it() -> None:
    text = problems_csv([Problem("cut, off", "b"), Problem("no image"), Problem("x", "a"), Problem("y", "b")])
    assert rows(text) == [{"image_id": "a", "reason": "x"}, {"image_id": "b", "reason": "cut, off; y"}]


def test_pairs_and_groups_are_tables() -> None:
    cases = [case(0, "a"), case(1, "b", 1)]
    (pair,) = rows(pairs_csv([Similar("c0", "c1", 4, 0.99)], cases))
    assert (pair["distance_bits"], pair["first_patient"], pair["second_label"]) == ("4", "a", "1")
    assert rows(groups_csv({"c0": "a"})) == [{"image_id": "c0", "group": "a"}]


def test_tables_beside_the_data_say_the_same_of_the_written_table(tmp_path: Path) -> None:
    root = make_fracatlas(tmp_path / "data")
    (root / "excluded.csv").write_text("image_id,reason\nIMG0000003.jpg,cut off\n")
    (root / "groups.csv").write_text("image_id,group\nIMG0000000,g\nIMG0000002.jpg,g\n")
    original = read_dataset(root)
    write_labels(original, root / "labels.csv")
    again = read_dataset(root)
    assert (original.layout, again.layout) == ("fracatlas", "table")
    assert again.dataset().digest == original.dataset().digest
    assert [case.patient_id for case in again.cases] == ["g", "IMG0000001", "g", "IMG0000004"]
