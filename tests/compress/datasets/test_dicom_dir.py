from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from compress.datasets.dicom_dir import read_dicom_dir
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.layouts import make_dicom_dir, write_csv
from tests.runtime.readers.makers import dicom


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_dicom_dir(tmp_path / "pacs")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read_dicom_dir(root).problems]


@pytest.mark.parametrize(
    "columns", [("sop_instance_uid", "fractured"), ("SOPInstanceUID", "fractured"), ("file", "fractured")]
)
def test_facts_come_from_the_headers_however_files_are_named(
    tmp_path: Path, columns: tuple[str, ...]
) -> None:
    dataset = open_dataset(make_dicom_dir(tmp_path / "pacs", columns))
    named = "{}.dcm" if columns[0] == "file" else "1.2.3.{}"
    assert [(case.case_id, case.label) for case in dataset.cases] == [
        (named.format(number), number % 2) for number in range(3)
    ]
    case = dataset.cases[0]
    assert (case.body_part, case.view, case.age_years, case.sex) == ("hand", "frontal", 41, "female")
    assert case.tags == {"laterality": "left"}
    assert dataset.load(case).pixels.shape == (40, 30)


def test_images_of_one_patient_and_study_belong_together(root: Path) -> None:
    cases = read_dicom_dir(root).cases
    assert cases[0].patient_id == cases[1].patient_id != cases[2].patient_id
    assert cases[0].study_id == cases[1].study_id != cases[2].study_id


def test_nothing_that_names_the_patient_is_kept(root: Path) -> None:
    said = repr(read_dicom_dir(root))
    for secret in ("clinic-0", "Doe", "1.2.9.0"):
        assert secret not in said


def test_the_same_number_from_another_issuer_is_another_patient(root: Path) -> None:
    pixels = np.full((40, 30), 7, np.uint16)
    elements = {"PatientID": "clinic-0", "IssuerOfPatientID": "elsewhere", "SOPInstanceUID": "1.2.3.0"}
    (root / "0.dcm").write_bytes(dicom(pixels, **elements))
    cases = read_dicom_dir(root).cases
    assert cases[0].patient_id != cases[1].patient_id


def test_files_without_a_row_are_noted(root: Path) -> None:
    assert any("1 DICOM files have no usable row" in note for note in read_dicom_dir(root).notes)


def test_boxes_and_further_columns_are_read(root: Path) -> None:
    row = {"sop_instance_uid": "1.2.3.1", "fractured": 1, "boxes": "[[0.1, 0.2, 0.3, 0.4]]", "reader": "AB"}
    write_csv(root / "labels.csv", tuple(row), [row])
    (case,) = read_dicom_dir(root).cases
    assert case.boxes == ((0.1, 0.2, 0.3, 0.4),)
    assert case.tags == {"reader": "AB", "laterality": "left"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sop_instance_uid": "9.9", "fractured": 1}, "SOPInstanceUID '9.9' is no readable DICOM file"),
        ({"file": "none.dcm", "fractured": 1}, "file 'none.dcm' is no readable DICOM file"),
        ({"file": "../pacs/0.dcm", "fractured": 1}, "file '../pacs/0.dcm' is no readable DICOM file"),
        ({"sop_instance_uid": "1.2.3.0", "fractured": "?"}, "fractured must be 0 or 1"),
        (
            {"sop_instance_uid": "1.2.3.0", "boxes": "[[0, 0, 1, 1]]", "fractured": 0},
            "yet it has fracture boxes",
        ),
    ],
)
def test_a_bad_row_is_reported_with_its_line(root: Path, row: dict[str, object], words: str) -> None:
    write_csv(root / "labels.csv", ("sop_instance_uid", "file", "fractured", "boxes"), [row])
    (problem,) = problems(root)
    assert problem.startswith("labels.csv line 2") and words in problem


def test_damaged_and_repeated_files_are_reported(root: Path) -> None:
    shutil.copy(root / "0.dcm", root / "copy.dcm")
    whole = (root / "3.dcm").read_bytes()
    (root / "3.dcm").write_bytes(whole[:140])
    found = problems(root)
    assert any("'copy.dcm' and '0.dcm' have one SOPInstanceUID" in each for each in found)
    assert any("'3.dcm': " in each for each in found)
    assert len(found) == 2


def test_a_file_that_names_no_patient_is_a_patient_of_its_own(root: Path) -> None:
    pixels = np.full((40, 30), 7, np.uint16)
    (root / "0.dcm").write_bytes(dicom(pixels, SOPInstanceUID="1.2.3.0"))
    assert read_dicom_dir(root).cases[0].patient_id == "1.2.3.0"


def test_a_table_of_other_files_is_the_generic_one_and_misses_its_column(root: Path) -> None:
    (root / "x.png").write_bytes(b"picture")
    write_csv(root / "labels.csv", ("file", "fractured"), [{"file": "x.png", "fractured": 1}])
    with pytest.raises(StepError, match="column image_id is missing"):
        open_dataset(root)


@pytest.mark.real_data
def test_real_dicom_files_give_their_facts(real_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "pacs"
    shutil.copytree(real_data / "dicom/made", root)
    names = sorted(path.name for path in root.iterdir())
    rows = [{"file": name, "fractured": int("fractured" in name)} for name in names]
    write_csv(root / "labels.csv", ("file", "fractured"), rows)
    reading = read_dicom_dir(root)
    assert {case.body_part for case in reading.cases} == {"hand"}
    assert len(reading.cases) == len(names)


def test_a_study_of_an_unnamed_patient_is_one_patient(root: Path) -> None:
    pixels = np.full((40, 30), 7, np.uint16)
    for number in (0, 1):
        facts = {"SOPInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": "1.2.9.7"}
        (root / f"{number}.dcm").write_bytes(dicom(pixels + number, **facts))
    with pytest.warns(UserWarning, match="names no patient of 2 images: their study counts as a patient"):
        cases = open_dataset(root).cases
    assert cases[0].patient_id == cases[1].patient_id == cases[0].study_id != cases[2].patient_id


def test_every_bad_cell_of_a_row_is_reported(root: Path) -> None:
    row = {"sop_instance_uid": "1.2.3.0", "boxes": "[[0.1,", "fractured": "?"}
    write_csv(root / "labels.csv", tuple(row), [row])
    found = problems(root)
    assert len(found) == 2
    assert any("fractured must be" in each for each in found) and any("not JSON" in each for each in found)


@pytest.mark.parametrize("names", [("gone.dcm", "1.dcm"), ("gone.dcm", "away.DCM")])
def test_a_table_that_begins_with_a_missing_file_is_still_one_of_dicom_files(
    root: Path, names: tuple[str, str]
) -> None:
    write_csv(root / "labels.csv", ("file", "fractured"), [{"file": name, "fractured": 1} for name in names])
    with pytest.raises(StepError, match=r"file 'gone.dcm' is no readable DICOM file of this folder"):
        open_dataset(root)


def test_hidden_folders_are_not_read(root: Path) -> None:
    (root / ".ipynb_checkpoints").mkdir()
    shutil.copy(root / "0.dcm", root / ".ipynb_checkpoints/0-checkpoint.dcm")
    assert not problems(root)
