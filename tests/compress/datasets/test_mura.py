from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.datasets.mura import read_mura
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.layouts import make_mura, write_csv

pytestmark = pytest.mark.filterwarnings("ignore:.*more than fractured")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_mura(tmp_path / "MURA")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read_mura(root).problems]


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


def test_every_image_has_its_studys_label_and_the_patient_spans_body_parts(root: Path) -> None:
    dataset = open_dataset(root)
    assert len(dataset.cases) == 8
    first = dataset.cases[0]
    assert first.case_id == "train/XR_WRIST/patient00001/study1_positive/image1.png"
    assert (first.label, first.body_part, first.patient_id) == (1, "wrist", "patient00001")
    own = [case for case in dataset.cases if case.patient_id == "patient00001"]
    assert {case.study_id: case.label for case in own} == {
        "patient00001/wrist/study1": 1,
        "patient00001/hand/study1": 0,
    }
    assert {case.tags["split"] for case in dataset.cases} == {"train", "valid"}
    assert dataset.load(first).bit_depth == 16


def test_the_meaning_of_the_label_is_said_and_warned_of(root: Path) -> None:
    assert any("more than fractured" in note for note in read_mura(root).notes)
    with pytest.warns(UserWarning, match="more than fractured"):
        open_dataset(root)


def test_the_valid_part_alone_opens(root: Path) -> None:
    (root / "train_image_paths.csv").unlink()
    (root / "train_labeled_studies.csv").unlink()
    assert len(open_dataset(root).cases) == 2


def test_every_fault_is_reported(root: Path) -> None:
    append(root / "train_image_paths.csv", "MURA-v1.1/train/XR_HAND/patient00009/study1_negative/image1.png")
    append(root / "train_image_paths.csv", "MURA-v1.1/train/somewhere/image1.png")
    append(root / "train_labeled_studies.csv", "MURA-v1.1/train/XR_HAND/patient00008/study1_negative/,0")
    append(root / "train_labeled_studies.csv", "MURA-v1.1/train/XR_HAND/patient00007/study1_negative/,1")
    append(root / "train_labeled_studies.csv", "MURA-v1.1/train/XR_HAND/patient00006/study1_negative/,x")
    append(root / "train_labeled_studies.csv", "MURA-v1.1/train/XR_WRIST/patient00002/study1_negative/,0")
    (root / "valid/XR_ELBOW/patient11185/study1_positive/image2.png").unlink()
    found = problems(root)
    for words in (
        "line 7: study 'train/XR_HAND/patient00009/study1_negative' has no usable label",
        "line 8: expected .../XR_PART",
        "study 'train/XR_HAND/patient00008/study1_negative' has no image",
        "is labelled 1, its folder says negative",
        "the label must be 0 or 1, got 'x'",
        "is named twice",
        "image2.png' is missing",
    ):
        assert any(words in problem for problem in found), words
    assert sum("patient00009/study1_negative/image1.png' is missing" in each for each in found) == 1
    assert len(found) == 8


def test_a_missing_table_of_a_pair_is_reported(root: Path) -> None:
    (root / "valid_labeled_studies.csv").unlink()
    assert problems(root) == ["valid_labeled_studies.csv is missing"]


def test_a_damaged_image_is_reported_and_left_out_on_demand(root: Path) -> None:
    name = "train/XR_WRIST/patient00002/study1_negative/image1.png"
    (root / name).write_bytes((root / name).read_bytes()[:200])
    with pytest.raises(StepError, match="the PNG ends before its picture does"):
        open_dataset(root)
    write_csv(root / "excluded.csv", ("image_id", "reason"), [{"image_id": name, "reason": "cut off"}])
    assert len(open_dataset(root).cases) == 7


def test_a_group_takes_all_images_of_its_patients_and_cannot_split_one(root: Path) -> None:
    first, second = (case.case_id for case in read_mura(root).cases[:2])
    write_csv(root / "groups.csv", ("image_id", "group"), [{"image_id": first, "group": "g"}])
    grouped = {case.patient_id for case in read_mura(root).cases if "patient00001" in case.case_id}
    assert grouped == {"g"}
    assert open_dataset(root).patient_groups == {"patient00001": "g"}
    rows = [{"image_id": first, "group": "g"}, {"image_id": second, "group": "h"}]
    write_csv(root / "groups.csv", ("image_id", "group"), rows)
    assert problems(root) == ["groups.csv: patient 'patient00001' stands in 'g' and 'h'"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text('MURA/v1.train_XHND,0positve\n" ', max_size=80))
def test_no_table_ends_in_anything_but_a_reading_or_a_step_error(root: Path, text: str) -> None:
    (root / "train_labeled_studies.csv").write_text(text)
    try:
        assert read_mura(root).problems
    except StepError as error:
        assert "cannot read" in str(error)


def test_images_that_no_table_names_are_noted_with_their_number(root: Path) -> None:
    study = "train/XR_WRIST/patient00002/study1_negative"
    for name in ("image3.png", "image4.png", "._image1.png"):
        (root / study / name).write_bytes(b"picture")
    for table in ("valid_image_paths.csv", "valid_labeled_studies.csv"):
        (root / table).unlink()
    notes = read_mura(root).notes
    assert (
        f"2 images have no row in train_image_paths.csv, for example '{study}/image3.png': left out" in notes
    )
    assert any("2 images have no row in valid_image_paths.csv" in note for note in notes)


def test_a_row_of_a_study_that_contradicts_itself_tells_of_every_fault(root: Path) -> None:
    append(root / "train_labeled_studies.csv", "MURA-v1.1/train/XR_WRIST/patient00002/study1_negative/,1")
    found = [each for each in problems(root) if "train_labeled_studies.csv line 4" in each]
    assert len(found) == 2
