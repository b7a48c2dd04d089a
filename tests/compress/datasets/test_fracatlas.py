from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from compress.datasets.fracatlas import read_fracatlas
from compress.datasets.registry import open_dataset
from runtime.errors import StepError
from tests.compress.datasets.layouts import (
    FRACATLAS_COLUMNS,
    fracatlas_row,
    make_fracatlas,
    write_coco,
    write_csv,
    write_jpeg,
    write_voc,
    write_yolo,
)
from tests.runtime.readers.makers import with_exif_orientation

pytestmark = pytest.mark.filterwarnings("ignore:.*names no patients")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_fracatlas(tmp_path / "FracAtlas")


def image(root: Path, number: int) -> Path:
    return next((root / "images").rglob(f"IMG{number:07d}.jpg"))


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read_fracatlas(root).problems]


def exclude(root: Path, *numbers: int) -> None:
    rows = [{"image_id": f"IMG{number:07d}.jpg", "reason": "looked at: useless"} for number in numbers]
    write_csv(root / "excluded.csv", ("image_id", "reason"), rows)


def rewrite(root: Path, **changes: object) -> None:
    """dataset.csv again, with changes to the row of image 0."""
    rows = [fracatlas_row(number, **(changes if number == 0 else {})) for number in range(5)]
    write_csv(root / "dataset.csv", FRACATLAS_COLUMNS, rows)


def test_cases_carry_parts_views_tags_and_boxes(root: Path) -> None:
    dataset = open_dataset(root)
    by_id = {case.case_id: case for case in dataset.cases}
    assert sorted(by_id) == [f"IMG{number:07d}" for number in range(5)]
    assert [by_id[f"IMG{n:07d}"].label for n in range(5)] == [1, 1, 0, 0, 0]
    mixed = by_id["IMG0000002"]
    assert (mixed.body_part, mixed.view) == ("hand+leg", "frontal+lateral")
    assert mixed.tags == {"hardware": "1", "multiscan": "0", "mixed": "1"}
    assert by_id["IMG0000000"].boxes == ((0.25, 0.2, 0.5, 0.4),)
    assert dataset.load(mixed).pixels.shape == (60, 40)


def test_it_is_said_which_annotations_the_boxes_come_from(root: Path) -> None:
    assert "boxes: 1 from COCO, 1 from YOLO annotations" in read_fracatlas(root).notes
    shutil.rmtree(root / "Annotations/COCO JSON")
    assert "boxes: 1 from PASCAL VOC, 1 from YOLO annotations" in read_fracatlas(root).notes


def test_without_annotations_the_labels_still_open(root: Path) -> None:
    shutil.rmtree(root / "Annotations")
    assert not any(case.boxes for case in open_dataset(root).cases)


def test_forms_that_disagree_are_named_and_coco_is_used(root: Path) -> None:
    write_voc(root, (2, 2, 8, 8))
    reading = read_fracatlas(root)
    assert any("IMG0000000 (COCO 1, PASCAL VOC 1)" in note for note in reading.notes)
    assert reading.cases[0].boxes == ((0.25, 0.2, 0.5, 0.4),)
    assert not reading.problems


def test_fractures_that_nobody_marked_are_named(root: Path) -> None:
    (root / "Annotations/YOLO/IMG0000001.txt").unlink()
    assert any("no box: IMG0000001" in note for note in read_fracatlas(root).notes)


def test_a_truncated_jpeg_is_reported_and_left_out_on_demand(root: Path) -> None:
    path = image(root, 3)
    path.write_bytes(path.read_bytes()[:-40])
    assert problems(root) == ["'IMG0000003': the JPEG ends before its picture does"]
    with pytest.raises(StepError, match="IMG0000003") as caught:
        open_dataset(root)
    assert "excluded.csv" in caught.value.hint
    exclude(root, 3)
    dataset = open_dataset(root)
    assert "IMG0000003" not in dataset.image_digests
    assert len(dataset.cases) == 4


def test_all_problems_come_in_one_list(root: Path) -> None:
    image(root, 2).write_bytes(image(root, 2).read_bytes()[:-40])
    shutil.copy(image(root, 3), image(root, 4))
    write_jpeg(root / "images/Non_fractured/IMG0000077.jpg", 77)
    rewrite(root, fractured=0)
    found = problems(root)
    assert len(found) == 4
    for words in ("the table says not fractured", "ends before", "the same image", "has no row"):
        assert any(words in problem for problem in found)
    exclude(root, 0, 2, 4, 77)
    assert len(open_dataset(root).cases) == 2


def test_a_label_against_folder_and_box_is_reported(root: Path) -> None:
    rewrite(root, fractured=0)
    (problem,) = problems(root)
    assert "the table says not fractured, its folder says fractured and 1 box says fractured" in problem


def test_duplicates_are_one_problem_and_contradictory_ones_blame_both(root: Path) -> None:
    shutil.copy(image(root, 3), image(root, 4))
    shutil.copy(image(root, 2), image(root, 1))
    found = read_fracatlas(root).problems
    assert {p.case_id for p in found if "two labels" in p.text} == {"IMG0000001", "IMG0000002"}
    assert [p.case_id for p in found if "two labels" not in p.text] == ["IMG0000004"]
    exclude(root, 1, 2, 4)
    assert not problems(root)


def test_duplicates_of_one_group_are_no_problem(root: Path) -> None:
    shutil.copy(image(root, 3), image(root, 4))
    rows = [{"image_id": f"IMG{n:07d}", "group": "g1" if n > 2 else f"g{n + 7}"} for n in range(5)]
    write_csv(root / "groups.csv", ("image_id", "group"), rows)
    dataset = open_dataset(root)
    assert [case.patient_id for case in dataset.cases][3:] == ["g1", "g1"]


def test_it_warns_that_nobody_names_the_patients_unless_groups_do(root: Path) -> None:
    with pytest.warns(UserWarning, match="names no patients"):
        open_dataset(root)
    write_csv(root / "groups.csv", ("image_id", "group"), [{"image_id": "IMG0000000", "group": "g0"}])
    assert read_fracatlas(root).has_patients


def test_a_turned_image_is_read_upright_with_its_box_where_it_belongs(root: Path) -> None:
    path = image(root, 0)
    upright = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    stored = cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)
    encoded = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path.write_bytes(with_exif_orientation(encoded, 6))
    reading = read_fracatlas(root)
    assert not reading.problems
    assert any(
        "1 images carry an EXIF orientation" in note and "IMG0000000" in note for note in reading.notes
    )
    dataset = reading.dataset()
    assert dataset.load(dataset.cases[0]).pixels.shape == (60, 40)
    assert dataset.cases[0].boxes == ((0.25, 0.2, 0.5, 0.4),)


def test_boxes_drawn_on_another_size_are_reported(root: Path) -> None:
    write_coco(root, [[10, 12, 20, 12, 20, 24]], size_px=(40, 60))
    (problem,) = problems(root)
    assert "COCO annotates 60 x 40 pixels, the image upright has 40 x 60" in problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("COCO JSON/COCO_fracture_masks.json", "{"),
        ("PASCAL VOC/IMG0000003.xml", "<a>"),
        ("YOLO/IMG0000001.txt", "0 1"),
        ("YOLO/IMG0000001.txt", "0 \x00\xff"),
    ],
)
def test_an_unreadable_annotation_is_reported_by_its_file(root: Path, name: str, text: str) -> None:
    write_yolo(root / "Annotations" / name, text)
    (problem,) = problems(root)
    assert name.rpartition("/")[2] in problem


def test_a_faulty_annotation_that_nobody_needs_is_noted(root: Path) -> None:
    write_yolo(root / "Annotations/YOLO/IMG0000000.txt", "0 1")
    reading = read_fracatlas(root)
    assert not reading.problems
    assert any("1 faulty annotations were not needed: YOLO/IMG0000000.txt" in note for note in reading.notes)


def test_an_image_that_is_missing_or_lies_twice_is_reported(root: Path) -> None:
    shutil.copy(image(root, 3), root / "images/Fractured/IMG0000003.jpg")
    image(root, 4).unlink()
    found = problems(root)
    places = "'images/Fractured/IMG0000003.jpg' and 'images/Non_fractured/IMG0000003.jpg'"
    assert any(f"'IMG0000003' is there twice: {places}" in each for each in found)
    assert any("'IMG0000004.jpg' is missing" in each for each in found)


@pytest.mark.parametrize("changes", [{"hand": "perhaps"}, {"fractured": "2"}])
def test_a_cell_that_is_no_flag_is_reported_with_its_line(root: Path, changes: dict[str, str]) -> None:
    rewrite(root, **changes)
    assert any(
        "dataset.csv line 2 (IMG0000000)" in each and "must be 0 or 1" in each for each in problems(root)
    )


def test_a_missing_column_is_named(root: Path) -> None:
    columns = [name for name in FRACATLAS_COLUMNS if name not in ("leg", "oblique")]
    write_csv(root / "dataset.csv", columns, [{"image_id": "IMG0000000.jpg"}])
    with pytest.raises(StepError, match="2 problems: column leg is missing; column oblique is missing"):
        open_dataset(root, "fracatlas")


def test_an_exclusion_without_a_reason_is_refused(root: Path) -> None:
    write_csv(root / "excluded.csv", ("image_id", "reason"), [{"image_id": "IMG0000003"}])
    assert any("reason must not be empty" in each for each in problems(root))


def test_what_is_left_out_is_said_with_its_reasons(root: Path) -> None:
    exclude(root, 3, 99)
    notes = read_fracatlas(root).notes
    assert any("leaves out 1 images: 1 looked at" in note for note in notes)
    assert any("names 1 images that are not here" in note and "IMG0000099" in note for note in notes)


def test_every_fault_of_an_image_in_one_annotation_file_is_reported(root: Path) -> None:
    write_coco(root, [[10, 12, 20, 12, 20, 24]])
    path = root / "Annotations/COCO JSON/COCO_fracture_masks.json"
    bad = '{"image_id": 7, "bbox": [500, 0, 10, 10]}, {"image_id": 7, "bbox": [1, 2]}, {'
    path.write_text(path.read_text().replace('"annotations": [{', f'"annotations": [{bad}'))
    write_yolo(root / "Annotations/YOLO/IMG0000001.txt", "0 1\n0 2\n")
    found = problems(root)
    assert len([each for each in found if "COCO_fracture_masks.json: IMG0000000: " in each]) == 2
    assert len([each for each in found if "IMG0000001.txt: line" in each]) == 2


def test_a_row_of_a_missing_image_tells_of_its_bad_cells_too(root: Path) -> None:
    image(root, 0).unlink()
    rewrite(root, hand="perhaps", leg="x")
    assert len([each for each in problems(root) if "dataset.csv line 2" in each]) == 3
