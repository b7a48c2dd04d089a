from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compress.datasets.registry import open_dataset
from compress.datasets.rsna_boneage import read_rsna_boneage
from compress.datasets.splits import split_by_patient
from compress.options.data import SplitFractions
from runtime.errors import StepError
from tests.compress.datasets.folders import write_image
from tests.compress.datasets.layouts import make_rsna, write_csv

pytestmark = pytest.mark.filterwarnings("ignore:.*nobody looked for fractures")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_rsna(tmp_path / "boneage")


def test_hands_carry_sex_side_and_the_age_of_the_skeleton(root: Path) -> None:
    dataset = open_dataset(root)
    assert [(case.case_id, case.label, case.sex) for case in dataset.cases] == [
        ("1377", 0, "male"),
        ("1378", 0, "female"),
        ("1379", 0, "male"),
        ("4360", 0, "female"),
    ]
    first, last = dataset.cases[0], dataset.cases[-1]
    assert first.tags == {"split": "train", "bone_age_months": "12", "laterality": "left"}
    assert "bone_age_months" not in last.tags and last.tags["split"] == "test"
    assert first.age_years is None and first.body_part == "hand"


def test_that_nobody_looked_for_fractures_is_said_and_it_cannot_train_alone(root: Path) -> None:
    reading = read_rsna_boneage(root)
    assert any("nobody looked for fractures" in note for note in reading.notes)
    with pytest.raises(StepError, match="holds no fractured case"):
        split_by_patient(reading.cases, SplitFractions(), 0)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"id": 1, "boneage": 5, "male": True}, "image '1.png' is missing"),
        ({"id": 1377, "boneage": "young", "male": True}, "boneage must be 0 to 300 months"),
        ({"id": 1377, "boneage": 5000, "male": True}, "boneage must be 0 to 300 months"),
        ({"id": 1377, "boneage": 5, "male": "perhaps"}, "male must be 0 or 1"),
    ],
)
def test_a_bad_row_is_reported_with_its_line(root: Path, row: dict[str, object], words: str) -> None:
    write_csv(root / "boneage-training-dataset.csv", ("id", "boneage", "male"), [row])
    (problem,) = read_rsna_boneage(root).problems
    assert "line 2" in problem.text and words in problem.text


def test_a_missing_column_is_named(root: Path) -> None:
    write_csv(root / "boneage-training-dataset.csv", ("id", "male"), [])
    with pytest.raises(StepError, match="column boneage is missing"):
        open_dataset(root)


def test_every_bad_cell_of_a_row_is_reported(root: Path) -> None:
    row = {"id": 1, "boneage": "young", "male": "perhaps"}
    write_csv(root / "boneage-training-dataset.csv", ("id", "boneage", "male"), [row])
    found = [problem.text for problem in read_rsna_boneage(root).problems]
    assert len(found) == 3
    for words in ("image '1.png' is missing", "boneage must be", "male must be"):
        assert any(words in each for each in found), words


def test_images_without_a_row_are_noted_and_one_in_two_folders_is_reported(root: Path) -> None:
    folder = root / "boneage-training-dataset"
    write_image(folder / "9.png", 99)
    reading = read_rsna_boneage(root)
    assert not reading.problems
    wanted = "1 images have no row in boneage-training-dataset.csv, for example '9': left out"
    assert wanted in reading.notes
    shutil.copy(folder / "boneage-training-dataset/1377.png", folder / "1377.png")
    (problem,) = read_rsna_boneage(root).problems
    assert "image '1377' is there twice" in problem.text
