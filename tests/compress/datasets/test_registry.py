from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compress.datasets.registry import LAYOUTS, find_layout, open_dataset, read_dataset
from runtime.errors import InputError, StepError
from tests.compress.datasets import layouts
from tests.compress.datasets.folders import make_folder

MAKERS: dict[str, Callable[[Path], Path]] = {
    "table": make_folder,
    "dicom_dir": layouts.make_dicom_dir,
    "fracatlas": layouts.make_fracatlas,
    "grazpedwri": layouts.make_grazpedwri,
    "mura": layouts.make_mura,
    "nih_cxr14": layouts.make_nih,
    "rsna_boneage": layouts.make_rsna,
    "folder": layouts.make_class_folders,
}


def test_a_folder_with_a_table_opens(tmp_path: Path) -> None:
    assert len(open_dataset(make_folder(tmp_path / "clinic")).cases) == 6


def test_a_table_under_another_name_opens(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "clinic")
    (folder / "labels.csv").rename(folder / "second reading.csv")
    assert len(open_dataset(folder / "second reading.csv").cases) == 6


@pytest.mark.parametrize("name", ["nothing", "empty", "file.txt"])
def test_anything_else_is_refused_with_what_is_expected(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("no table")
    with pytest.raises(StepError) as caught:
        open_dataset(tmp_path / name)
    for layout in LAYOUTS.values():
        assert layout.marker in caught.value.hint


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_by_its_own_marks(tmp_path: Path, name: str) -> None:
    root = MAKERS[name](tmp_path / "data")
    assert find_layout(root)[0].name == name
    reading = read_dataset(root)
    assert reading.layout == name and reading.cases and not reading.problems
    assert set(reading.image_digests) == {case.case_id for case in reading.cases}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.filterwarnings("ignore:.*(names no patients|label. )")
def test_every_dataset_changes_its_digest_with_a_file_and_not_with_its_place(
    tmp_path: Path, name: str
) -> None:
    first = open_dataset(MAKERS[name](tmp_path / "one"))
    second = open_dataset(MAKERS[name](tmp_path / "other"))
    assert second.digest == first.digest
    case = second.cases[0]
    if name == "dicom_dir":
        data = case.path.read_bytes()
        case.path.write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    else:
        layouts.write_jpeg(case.path, 999)
    assert open_dataset(tmp_path / "other").digest != first.digest
    with pytest.raises(InputError, match="changed while the dataset was in use"):
        second.load(case)


def test_a_layout_can_be_forced(tmp_path: Path) -> None:
    root = layouts.make_class_folders(tmp_path / "data")
    layouts.make_fracatlas(root)
    assert find_layout(root)[0].name == "fracatlas"
    assert find_layout(root, "folder:_") == (LAYOUTS["folder"], "_")


def test_an_unknown_layout_and_one_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "clinic")
    with pytest.raises(StepError, match="no layout 'radiology'") as caught:
        open_dataset(root, "radiology")
    assert "fracatlas" in caught.value.hint
    with pytest.raises(StepError, match="is no dataset") as caught:
        open_dataset(root, "mura")
    assert "train_image_paths.csv" in caught.value.hint and "fracatlas" not in caught.value.hint


def test_a_rule_for_a_layout_that_takes_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="takes no rule, got 'x'"):
        open_dataset(layouts.make_mura(tmp_path / "data"), "mura:x")
