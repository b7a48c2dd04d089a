from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from compress.datasets.contact_sheet import SheetOptions, choose, draw_sheet
from compress.datasets.table import TableDataset
from runtime.errors import StepError
from tests.compress.datasets.folders import case, make_folder

OPTIONS = SheetOptions(cell_px=64, columns=3)
ORANGE = (64, 140, 255)


def decode(png: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture)


def orange_pixels(picture: np.ndarray) -> int:
    return int((picture == ORANGE).all(axis=2).sum())


def test_every_body_part_has_a_row_and_boxes_are_drawn(tmp_path: Path) -> None:
    dataset = TableDataset(make_folder(tmp_path / "data"))
    picture = decode(draw_sheet(dataset, dataset.cases, OPTIONS))
    one_part = [each for each in dataset.cases if each.body_part == "leg"]
    assert picture.shape[0] > decode(draw_sheet(dataset, one_part, OPTIONS)).shape[0]
    assert orange_pixels(picture) > 100
    unboxed = [dataclasses.replace(each, boxes=()) for each in dataset.cases]
    assert orange_pixels(decode(draw_sheet(dataset, unboxed, OPTIONS))) == 0


def test_the_same_cases_give_the_same_picture_in_any_order(tmp_path: Path) -> None:
    dataset = TableDataset(make_folder(tmp_path / "data"))
    assert draw_sheet(dataset, dataset.cases, OPTIONS) == draw_sheet(dataset, dataset.cases[::-1], OPTIONS)


def test_rare_body_parts_are_counted_not_shown(tmp_path: Path) -> None:
    dataset = TableDataset(make_folder(tmp_path / "data"))
    cases = [dataclasses.replace(each, body_part=f"part {n}") for n, each in enumerate(dataset.cases)]
    few = decode(draw_sheet(dataset, cases, dataclasses.replace(OPTIONS, max_body_parts=2)))
    assert few.shape[0] < decode(draw_sheet(dataset, cases, OPTIONS)).shape[0]


def test_no_image_gives_no_sheet(tmp_path: Path) -> None:
    dataset = TableDataset(make_folder(tmp_path / "data"))
    with pytest.raises(StepError, match="no image for a contact sheet"):
        draw_sheet(dataset, [], OPTIONS)


def test_as_many_patients_as_possible_are_chosen() -> None:
    cases = [case(number, f"p{number // 10}") for number in range(50)]
    assert len({each.patient_id for each in choose(cases, 5)}) == 5
    assert len({each.case_id for each in choose(cases, 7)}) == 7
    assert len(choose(cases[:3], 5)) == 3
