from __future__ import annotations

from pathlib import Path

import pytest

from compress.datasets.folder import read_folder
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.folders import write_image
from tests.compress.datasets.layouts import make_class_folders


@pytest.mark.parametrize(
    "names", [("fractured", "normal"), ("Fracture", "Not_Fractured"), ("positive", "negative"), ("1", "0")]
)
def test_the_class_is_the_folders_name_in_many_words(tmp_path: Path, names: tuple[str, str]) -> None:
    root = make_class_folders(tmp_path / "data", names)
    with pytest.warns(UserWarning, match="names no patients"):
        dataset = open_dataset(root)
    assert sorted(case.label for case in dataset.cases) == [0, 0, 1, 1]
    assert {case.label for case in dataset.cases if case.case_id.startswith(names[0])} == {1}
    assert len({case.patient_id for case in dataset.cases}) == 4


def test_a_separator_ends_the_patient(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    dataset = open_dataset(root, "folder:_")
    assert {case.patient_id for case in dataset.cases} == {"p1", "p2"}


def test_a_name_without_the_separator_is_reported(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    write_image(root / "normal/nobody.png", 5)
    with pytest.raises(StepError, match=r"'normal/nobody.png': its name has no patient before '_'"):
        open_dataset(root, "folder:_")


def test_folders_above_are_division_and_body_part(tmp_path: Path) -> None:
    names = ("train/Lower-leg/fractured", "train/Lower-leg/normal", "val/wrist/normal", "wrist/fractured/old")
    reading = read_folder(make_class_folders(tmp_path / "data", names), "_")
    facts = {(c.tags.get("split"), c.body_part, c.label) for c in reading.cases}
    assert facts == {
        ("train", "lower leg", 1),
        ("train", "lower leg", 0),
        ("valid", "wrist", 0),
        (None, "wrist", 1),
    }
    assert not reading.problems


def test_images_in_no_class_or_in_two_are_reported(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    write_image(root / "loose.png", 5)
    write_image(root / "fractured/normal/both.png", 6)
    found = [str(problem) for problem in read_folder(root).problems]
    assert found == [
        "'fractured/normal/both.png' lies below 2 class folders, expected one",
        "'loose.png' lies below 0 class folders, expected one",
    ]


def test_files_that_are_no_images_are_reported_and_macos_shadows_are_not_read(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    (root / "normal/text.png").write_text("not a picture")
    (root / "normal/._p1_1.png").write_text("a shadow")
    (root / "normal/notes.txt").write_text("read me")
    (problem,) = read_folder(root).problems
    assert problem.text == "'normal/text.png': it is no JPEG, PNG, TIFF, BMP, WebP or DICOM file"


@pytest.mark.parametrize("suffix", [".gif", ".HEIC"])
def test_images_of_a_form_that_is_not_read_are_reported_not_passed_over(tmp_path: Path, suffix: str) -> None:
    root = make_class_folders(tmp_path / "data")
    (root / f"fractured/p9{suffix}").write_bytes(b"picture")
    with pytest.raises(StepError, match=f"'fractured/p9{suffix}': images of the form {suffix} are not read"):
        open_dataset(root)
    (root / "excluded.csv").write_text(f"image_id,reason\nfractured/p9{suffix},not needed\n")
    assert not read_folder(root).problems


def test_other_files_of_a_class_are_counted(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    for name in ("normal/notes.txt", "normal/more.txt", "fractured/IM0001", "README.md"):
        (root / name).write_text("read me")
    notes = read_folder(root).notes
    assert "3 files below class folders are not read: 2 .txt, 1 without a suffix" in notes


def test_hidden_folders_are_not_read(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path / "data")
    write_image(root / "normal/.ipynb_checkpoints/p1_0-checkpoint.png", 5)
    assert len(read_folder(root).cases) == 4
