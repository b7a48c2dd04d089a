from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compress.datasets.grazpedwri import read_grazpedwri
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.layouts import GRAZ_COLUMNS, graz_row, make_grazpedwri, write_csv, write_yolo


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_grazpedwri(tmp_path / "GRAZPEDWRI-DX")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read_grazpedwri(root).problems]


def rewrite(root: Path, **changes: object) -> None:
    rows = [graz_row(number, **(changes if number == 1 else {})) for number in range(4)]
    write_csv(root / "dataset.csv", GRAZ_COLUMNS, rows)


def test_cases_carry_patient_study_age_sex_side_and_fracture_boxes(root: Path) -> None:
    dataset = open_dataset(root)
    case = dataset.cases[1]
    assert (case.label, case.patient_id, case.study_id) == (1, "1", "1/1")
    assert (case.body_part, case.view, case.age_years, case.sex) == ("wrist", "lateral", 14.1, "male")
    assert case.boxes == (pytest.approx((0.4, 0.3, 0.6, 0.7)),)
    assert case.tags["laterality"] == "left" and case.tags["cast"] == "1" and case.tags["metal"] == "0"
    assert case.tags["ao_classification"] == "23r-M/2.1"
    assert dataset.cases[0].label == 0 and not dataset.cases[0].boxes
    assert dataset.load(case).bit_depth == 16


def test_labels_beside_the_images_are_found_too(root: Path) -> None:
    (root / "folder_structure/yolov5/labels").rename(root / "labels")
    assert len(open_dataset(root).cases[1].boxes) == 1


def test_without_boxes_that_is_said(root: Path) -> None:
    (root / "folder_structure/yolov5/labels").rename(root / "elsewhere")
    assert any("there are no boxes" in note for note in read_grazpedwri(root).notes)


def test_a_fracture_box_on_an_image_without_one_is_reported(root: Path) -> None:
    rewrite(root, fracture_visible="")
    (problem,) = problems(root)
    assert "line 3" in problem and "yet it has 1 fracture boxes" in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"age": "old"}, "age must be"),
        ({"gender": "x"}, "sex must be"),
        ({"projection": "4"}, "projection must be 1, 2, 3 or empty, got '4'"),
        ({"laterality": "up"}, "laterality must be"),
        ({"fracture_visible": "maybe"}, "fracture_visible must be 0 or 1"),
        ({"patient_id": ""}, "patient_id is empty"),
        ({"filestem": "nothing"}, "image 'nothing.png' is missing"),
    ],
)
def test_a_bad_cell_is_reported_with_its_line(root: Path, changes: dict[str, str], words: str) -> None:
    rewrite(root, **changes)
    assert any("dataset.csv line 3" in each and words in each for each in problems(root))


def test_a_bad_box_file_is_reported_and_its_image_left_out_on_demand(root: Path) -> None:
    stem = graz_row(3)["filestem"]
    write_yolo(root / f"folder_structure/yolov5/labels/{stem}.txt", "3 0.5\n")
    with pytest.raises(StepError, match="line 1: expected a class and a box"):
        open_dataset(root)
    write_csv(root / "excluded.csv", ("image_id", "reason"), [{"image_id": stem, "reason": "no boxes"}])
    assert len(open_dataset(root).cases) == 3


def test_images_without_a_row_are_noted(root: Path) -> None:
    write_csv(root / "dataset.csv", GRAZ_COLUMNS, [graz_row(number) for number in range(3)])
    assert any("1 images have no row" in note for note in read_grazpedwri(root).notes)


def test_every_bad_cell_of_a_row_is_reported(root: Path) -> None:
    stem = graz_row(1)["filestem"]
    write_yolo(root / f"folder_structure/yolov5/labels/{stem}.txt", "3 0.5\n3 x\n")
    rewrite(
        root, age="old", gender="x", projection="4", laterality="up", cast="?", metal="?", patient_id="",
        fracture_visible="maybe",
    )  # fmt: skip
    found = problems(root)
    for words in (
        "age must be", "sex must be", "projection must be", "laterality must be", "cast must be",
        "metal must be", "patient_id is empty", "fracture_visible must be", "line 1: expected a class",
        "line 2: could not convert",
    ):  # fmt: skip
        assert sum(words in each and "dataset.csv line 3" in each for each in found) == 1, words
    assert len(found) == 10


def test_an_image_in_two_folders_is_reported_and_hidden_folders_are_not_read(root: Path) -> None:
    stem = graz_row(0)["filestem"]
    shutil.copytree(root / "images_part1", root / ".ipynb_checkpoints")
    assert not problems(root)
    shutil.copy(root / f"images_part1/{stem}.png", root / f"images_part2/{stem}.png")
    (problem,) = problems(root)
    assert f"is there twice: 'images_part1/{stem}.png' and 'images_part2/{stem}.png'" in problem
