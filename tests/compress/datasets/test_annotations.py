from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.annotations import AnnotationError, faults_of, parse_coco, parse_voc, parse_yolo
from tests.compress.datasets.layouts import voc_text

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
coco_tables = st.fixed_dictionaries(
    {
        "images": st.lists(
            st.fixed_dictionaries({"id": json_values, "file_name": json_values, "height": json_values})
            | json_values
        ),
        "annotations": st.lists(
            st.fixed_dictionaries({"image_id": json_values, "bbox": json_values, "segmentation": json_values})
            | json_values
        ),
    }
)


def coco(annotations: list[dict[str, object]]) -> str:
    image = {"id": 1, "file_name": r"Fractured\IMG1.jpg", "height": 200, "width": 100}
    return json.dumps({"images": [image], "annotations": [{"image_id": 1, **each} for each in annotations]})


def test_a_coco_outline_gives_its_hull_and_an_image_without_one_its_bbox() -> None:
    outline = {"segmentation": [[10, 20, 30, 40, 20, 60], [40, 20, 50, 20, 45, 30]], "bbox": [0, 0, 1, 1]}
    found, faults = parse_coco(coco([outline, {"segmentation": [], "bbox": [10, 100, 20, 50]}]))
    assert not faults
    assert found["IMG1"].size_px == (200, 100)
    assert found["IMG1"].boxes == ((0.1, 0.1, 0.5, 0.3), (0.1, 0.5, 0.3, 0.75))


def test_single_bad_coco_annotations_are_named_and_the_others_kept() -> None:
    text = coco(
        [{"bbox": [500, 0, 10, 10]}, {"bbox": [1, 2]}, {"image_id": 9, "bbox": []}, {"bbox": [0, 0, 50, 50]}]
    )
    found, faults = parse_coco(text)
    assert len(found["IMG1"].boxes) == 1
    assert [stem for stem, _ in faults] == ["IMG1", "IMG1", ""]
    assert "unknown image id 9" in faults[2][1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3, "annotations": []}', "[" * 100_000])
def test_what_is_no_coco_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no COCO file"):
        parse_coco(text)


@given(json_values | coco_tables)
def test_any_json_is_a_coco_file_or_refused(value: object) -> None:
    try:
        found, _ = parse_coco(json.dumps(value))
    except ValueError:
        return
    assert all(0 <= x0 < x1 <= 1 for each in found.values() for x0, _, x1, _ in each.boxes)


def test_a_voc_file_gives_its_boxes_and_size() -> None:
    found = parse_voc(voc_text((10, 12, 20, 24)))
    assert found.size_px == (60, 40)
    assert found.boxes == ((0.25, 0.2, 0.5, 0.4),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no XML"),
        ("<annotation/>", "size/height is missing"),
        (voc_text((1, 1, 2, 2)).replace("<width>40", "<width>many"), "size/width must be a whole number"),
        (voc_text((1, 1, 2, 2)).replace("<xmin>1", "<xmin>left"), "bndbox/xmin must be a number"),
        (voc_text((1, 1, 2, 2)).replace("<xmin>1</xmin>", ""), "bndbox/xmin is missing"),
        (voc_text((50, 1, 60, 2)), "outside the image"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "document type"),
    ],
)
def test_what_is_no_voc_file_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_voc(text)


@given(st.text(max_size=80) | st.text("<>/annotion =\"'&;", max_size=80))
def test_no_odd_text_is_taken_for_a_voc_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"XML|document type|missing"):
        parse_voc(text)


def test_yolo_boxes_and_polygons_of_the_wanted_class() -> None:
    text = "3 0.5 0.5 0.2 0.4\n\n8 0.1 0.1 0.1 0.1\n3 0.1 0.1 0.3 0.1 0.2 0.5\n"
    assert parse_yolo(text, (3,)).boxes == (pytest.approx((0.4, 0.3, 0.6, 0.7)), (0.1, 0.1, 0.3, 0.5))
    assert len(parse_yolo(text).boxes) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0.5 0.5 0.2", "line 1: expected a class and a box or polygon, got 4 values"),
        ("0 0.5 0.5 0.2 0.2\n0 a b c d", "line 2: "),
        ("0 0.1 0.1 0.3 0.1 0.2 0.5 0.4", "line 1: a polygon must be pairs"),
        ("0 1.5 0.5 0.2 0.2", "line 1: .*outside the image"),
        ("0 nan 0.5 0.2 0.2", "line 1: .*finite"),
        ("inf 0.5 0.5 0.2 0.2", "line 1"),
    ],
)
def test_a_bad_yolo_line_is_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_yolo(text)


@given(st.text("0123456789.-+einfa \n", max_size=60))
def test_any_text_is_a_yolo_file_or_refused(text: str) -> None:
    try:
        boxes = parse_yolo(text).boxes
    except ValueError:
        return
    assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)


def test_every_bad_yolo_line_is_named() -> None:
    with pytest.raises(AnnotationError) as caught:
        parse_yolo("0 0.5 0.5 0.2 0.2\n0 1\n0 a b c d\n")
    assert [fault.partition(":")[0] for fault in faults_of(caught.value)] == ["line 2", "line 3"]


def test_every_bad_size_and_object_of_a_voc_file_is_named() -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    objects = "".join(f"<object>{box.format(*ends)}</object>" for ends in ((9, 9), ("x", "y"), (900, 900)))
    size = "<size><width>40</width><height>60</height></size>"
    with pytest.raises(AnnotationError) as caught:
        parse_voc(f"<annotation>{size}{objects}</annotation>")
    found = [fault.rpartition(",")[0] or fault for fault in faults_of(caught.value)]
    assert found[:2] == ["object 2: bndbox/xmax must be a number", "object 2: bndbox/ymax must be a number"]
    assert (
        len(found) == 3 and "object 3: box [1, 1, 900, 900] lies for the most part" in caught.value.faults[2]
    )
    with pytest.raises(AnnotationError, match=r"size/height is missing; size/width is missing; object 1"):
        parse_voc("<annotation><object><bndbox/></object></annotation>")
