from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from compress.datasets.inspection import inspect
from compress.datasets.registry import read_dataset
from tests.compress.datasets.folders import COLUMNS, make_folder, row, write_image, write_table
from tests.compress.datasets.layouts import make_fracatlas, make_mura
from tests.compress.datasets.test_leaks import dataset_of


def test_counts_are_those_of_the_table(tmp_path: Path) -> None:
    found = inspect(read_dataset(make_folder(tmp_path / "data", 7)))
    assert (found.total.images, found.total.fractured, found.total.patients, found.total.boxes) == (
        7,
        3,
        4,
        3,
    )
    assert [(b.name, b.images, b.fractured) for b in found.by_body_part] == [("hand", 4, 2), ("leg", 3, 1)]
    assert [(b.name, b.images) for b in found.by_view] == [("frontal", 7)]
    assert found.bit_depths == {"16": 7} and found.formats == {"png": 7}
    assert found.long_side_px is not None and (found.long_side_px.least, found.long_side_px.most) == (40, 46)


def test_boxes_are_measured_in_pixels_of_their_image(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", 2)
    write_image(folder / "images/1.png", 5, 200, 100)
    found = inspect(read_dataset(folder)).boxes
    assert (found.boxes, found.images, found.unmarked) == (1, 1, 0)
    assert found.longest_side_px is not None and found.longest_side_px.median == pytest.approx(40)
    assert found.share_of_long_side is not None and found.share_of_long_side.median == pytest.approx(0.2)


def test_unreadable_files_are_listed_whole_and_the_rest_is_measured(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", 30)
    for number in range(25):
        (folder / f"images/{number}.png").write_bytes(b"no picture %d" % number)
    found = inspect(read_dataset(folder))
    assert len(found.unreadable) == 25
    assert sum(found.bit_depths.values()) == 5


def test_faulty_data_are_shown_with_every_problem(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", 30)
    write_table(folder, [row(number, fractured="?" if number < 25 else 0, boxes="") for number in range(30)])
    found = inspect(read_dataset(folder))
    assert len(found.problems) == 25
    assert found.total.images == 5


def test_near_duplicates_are_told_apart_by_patient(tmp_path: Path) -> None:
    dataset_of(tmp_path)
    for source, copy in ((0, 1), (2, 5)):
        data = (tmp_path / f"images/{source}.png").read_bytes()
        (tmp_path / f"images/{copy}.png").write_bytes(data)
    found = inspect(read_dataset(tmp_path))
    assert [(pair.first, pair.second) for pair in found.near_duplicates] == [("image2", "image5")]
    assert found.near_duplicates_within_patients == 1


def test_age_sex_studies_and_divisions_are_counted_where_stated(tmp_path: Path) -> None:
    rows = [row(n, age=10 * n if n else "", sex="F" if n % 2 else "", study=f"s{n // 2}") for n in range(6)]
    folder = make_folder(tmp_path / "data")
    write_table(folder, rows, (*COLUMNS, "age", "sex", "study"))
    found = inspect(read_dataset(folder))
    assert found.studies == 3 and found.sexes == {"female": 3} and found.ages_known == 5
    assert found.ages_years is not None and found.ages_years.median == 30
    mura = inspect(read_dataset(make_mura(tmp_path / "mura")))
    assert {balance.name: balance.images for balance in mura.by_split} == {"train": 6, "valid": 2}


def test_leaks_between_the_sets_that_come_with_the_data_are_named(tmp_path: Path) -> None:
    root = make_mura(tmp_path / "mura")
    assert inspect(read_dataset(root)).leaks == ()
    train, valid = (
        "train/XR_WRIST/patient00001/study1_positive",
        "valid/XR_ELBOW/patient11185/study1_positive",
    )
    shutil.copy(root / train / "image1.png", root / valid / "image2.png")
    assert inspect(read_dataset(root)).leaks == (
        f"'{train}/image1.png' in train and '{valid}/image2.png' in valid: one file",
    )


def test_it_becomes_plain_json(tmp_path: Path) -> None:
    found = inspect(read_dataset(make_fracatlas(tmp_path / "data")))
    table = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert table["total"]["images"] == 5 and table["has_patients"] is False
    assert table["ages_years"] is None


def test_progress_runs_to_all_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    inspect(read_dataset(make_folder(tmp_path / "data")), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)
