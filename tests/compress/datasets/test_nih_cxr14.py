from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compress.datasets.nih_cxr14 import read_nih_cxr14
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.layouts import NIH_LINES, make_nih

pytestmark = pytest.mark.filterwarnings("ignore:.*knows no fractures")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_nih(tmp_path / "CXR14")


def test_by_default_any_finding_counts_and_all_named_boxes(root: Path) -> None:
    dataset = open_dataset(root)
    assert [case.label for case in dataset.cases] == [1, 1, 0, 1]
    assert [len(case.boxes) for case in dataset.cases] == [0, 1, 0, 1]
    case = dataset.cases[1]
    assert case.boxes == ((0.25, 0.125, 0.75, 0.375),)
    assert (case.case_id, case.patient_id, case.study_id) == ("00000001_001", "1", "1/1")
    assert (case.body_part, case.age_years, case.sex) == ("chest", 58, "male")
    assert case.tags == {"findings": "Cardiomegaly|Effusion", "position": "PA", "split": "train"}


def test_a_finding_of_ones_own_choice_is_the_label(root: Path) -> None:
    dataset = open_dataset(root, "nih_cxr14:infiltration")
    assert [case.label for case in dataset.cases] == [0, 0, 0, 1]
    assert [len(case.boxes) for case in dataset.cases] == [0, 0, 0, 1]
    assert dataset.digest != open_dataset(root).digest


def test_that_it_knows_no_fractures_is_said(root: Path) -> None:
    assert any("knows no fractures" in note for note in read_nih_cxr14(root, "Mass").notes)
    with pytest.warns(UserWarning, match="named any finding; this dataset knows no fractures"):
        open_dataset(root)
    with pytest.raises(StepError, match="'Fracture' is no finding") as caught:
        read_nih_cxr14(root, "Fracture")
    assert "Pneumothorax" in caught.value.hint


def test_impossible_ages_count_as_unknown_and_stray_boxes_as_none(root: Path) -> None:
    reading = read_nih_cxr14(root)
    assert reading.cases[3].age_years is None
    assert any("1 impossible ages" in note for note in reading.notes)
    assert any("1 boxes mark a finding" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("00000009_000.png,Hernia,0,9,50,M,PA,1,1,0.1,0.1,", "'00000009_000.png' is missing"),
        ("00000002_000.png,Gout,0,9,50,M,PA,1,1,0.1,0.1,", "finding 'Gout' is none of"),
        ("00000002_000.png,Hernia,0,,50,M,PA,1,1,0.1,0.1,", "Patient ID is empty"),
        ("00000002_000.png,Hernia,0,9,50,Z,PA,1,1,0.1,0.1,", "sex must be"),
        ("00000002_000.png,Hernia", "more or fewer cells"),
    ],
)
def test_a_bad_row_is_reported_with_its_line(root: Path, line: str, words: str) -> None:
    header = (root / "Data_Entry_2017.csv").read_text().splitlines()[0]
    (root / "Data_Entry_2017.csv").write_text("\n".join((header, NIH_LINES[0], line)) + "\n")
    (problem,) = read_nih_cxr14(root).problems
    assert "line 3" in problem.text and words in problem.text


@pytest.mark.parametrize("line", ["00000001_001.png,Effusion,1,2,3", "00000001_001.png,Effusion,a,b,c,d"])
def test_a_box_that_is_none_is_reported(root: Path, line: str) -> None:
    (root / "BBox_List_2017.csv").write_text(f"Image Index,Finding Label,Bbox [x,y,w,h],,,\n{line}\n")
    assert any("expected an image, a finding" in p.text for p in read_nih_cxr14(root).problems)


def test_a_box_outside_its_image_is_reported(root: Path) -> None:
    (root / "BBox_List_2017.csv").write_text("head\n00000001_001.png,Effusion,900,2,3,4\n")
    assert any("outside the image" in p.text for p in read_nih_cxr14(root).problems)


def test_every_bad_cell_of_a_row_is_reported(root: Path) -> None:
    header = (root / "Data_Entry_2017.csv").read_text().splitlines()[0]
    line = "00000009_000.png,Gout|Flu,0,,50,Z,PA,1,1,0.1,0.1,"
    (root / "Data_Entry_2017.csv").write_text("\n".join((header, NIH_LINES[0], line)) + "\n")
    found = [problem.text for problem in read_nih_cxr14(root).problems]
    assert len(found) == 4
    for words in ("is missing", "finding 'Gout', 'Flu' is none of", "Patient ID is empty", "sex must be"):
        assert any(words in each for each in found), words


def test_images_without_a_row_are_noted_and_one_in_two_folders_is_reported(root: Path) -> None:
    images = root / "images_001/images"
    shutil.copy(images / "00000001_000.png", images / "00000042_000.png")
    shutil.copytree(images, root / ".thumbnails")
    reading = read_nih_cxr14(root)
    assert not reading.problems
    assert any("1 images have no row in Data_Entry_2017.csv" in note for note in reading.notes)
    (root / "images_002").mkdir()
    shutil.copy(images / "00000001_000.png", root / "images_002/00000001_000.png")
    (problem,) = read_nih_cxr14(root).problems
    assert "'images_001/images/00000001_000.png' and 'images_002/00000001_000.png'" in problem.text
