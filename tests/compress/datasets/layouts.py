"""Small trees laid out as the field's datasets are published: real image files, real tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.compress.datasets.folders import write_image
from tests.runtime.readers.makers import dicom

FRACATLAS_COLUMNS = [
    "image_id",
    "hand",
    "leg",
    "hip",
    "shoulder",
    "mixed",
    "hardware",
    "multiscan",
    "fractured",
    "fracture_count",
    "frontal",
    "lateral",
    "oblique",
]
GRAZ_COLUMNS = [
    "filestem",
    "patient_id",
    "study_number",
    "timehash",
    "gender",
    "age",
    "laterality",
    "projection",
    "initial_exam",
    "ao_classification",
    "cast",
    "diagnosis_uncertain",
    "osteopenia",
    "fracture_visible",
    "metal",
    "pixel_spacing",
    "device_manufacturer",
]
NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """A table with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def write_jpeg(path: Path, seed: int, height_px: int = 60, width_px: int = 40) -> None:
    """An 8-bit gray JPEG of coarse random blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (12, 8)).astype(np.uint8)
    pixels = cv2.resize(blocks, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])


def fracatlas_row(number: int, **changes: Any) -> dict[str, Any]:
    """Images 0 and 1 are fractured, the others are not."""
    fractured = int(number < 2)
    base = dict.fromkeys(FRACATLAS_COLUMNS, 0) | {
        "image_id": f"IMG{number:07d}.jpg",
        "hand": 1,
        "frontal": 1,
        "fractured": fractured,
        "fracture_count": fractured,
    }
    return base | changes


def make_fracatlas(root: Path, count: int = 5) -> Path:
    """Images of 40 x 60 pixels; image 0 is boxed in all forms at [10, 12, 20, 24], image 1 in YOLO alone."""
    for number in range(count):
        folder = "Fractured" if number < 2 else "Non_fractured"
        write_jpeg(root / "images" / folder / f"IMG{number:07d}.jpg", number)
    rows = [fracatlas_row(number) for number in range(count)]
    rows[2] |= {"leg": 1, "lateral": 1, "hardware": 1, "mixed": 1}
    write_csv(root / "dataset.csv", FRACATLAS_COLUMNS, rows)
    write_coco(root, [[10, 12, 20, 12, 20, 24, 10, 24]])
    write_voc(root, (10, 12, 20, 24))
    write_yolo(root / "Annotations/YOLO/IMG0000000.txt", "0 0.375 0.3 0.25 0.2\n")
    write_yolo(root / "Annotations/YOLO/IMG0000001.txt", "0 0.5 0.5 0.5 0.5\n")
    write_yolo(root / "Annotations/YOLO/IMG0000002.txt", "")
    return root


def write_coco(root: Path, polygons: list[list[float]], size_px: tuple[int, int] = (60, 40)) -> None:
    """One annotation on image 0, in the official file's place; size_px is (height, width)."""
    table = {
        "images": [{"id": 7, "file_name": "IMG0000000.jpg", "height": size_px[0], "width": size_px[1]}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 0, "segmentation": polygons, "bbox": []}],
        "categories": [{"id": 0, "name": "fractured"}],
    }
    path = root / "Annotations/COCO JSON/COCO_fracture_masks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table))


def write_voc(root: Path, corners_px: tuple[int, int, int, int]) -> None:
    """The VOC file of image 0."""
    path = root / "Annotations/PASCAL VOC/IMG0000000.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(voc_text(corners_px))


def voc_text(corners_px: tuple[float, float, float, float]) -> str:
    """A VOC file of an image of 40 x 60 pixels with one object."""
    names = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{n}>{value}</{n}>" for n, value in zip(names, corners_px, strict=True))
    return (
        "<annotation><filename>IMG0000000.jpg</filename>"
        "<size><width>40</width><height>60</height><depth>1</depth></size>"
        f"<object><name>fractured</name><bndbox>{box}</bndbox></object></annotation>"
    )


def write_yolo(path: Path, text: str) -> None:
    """One YOLO file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_mura(root: Path) -> Path:
    """Two patients in train (one with two studies), one in valid; two images a study."""
    studies = {
        "train/XR_WRIST/patient00001/study1_positive": 1,
        "train/XR_HAND/patient00001/study1_negative": 0,
        "train/XR_WRIST/patient00002/study1_negative": 0,
        "valid/XR_ELBOW/patient11185/study1_positive": 1,
    }
    seed = 0
    for split in ("train", "valid"):
        own = {study: label for study, label in studies.items() if study.startswith(split)}
        images = [f"{study}/image{number}.png" for study in own for number in (1, 2)]
        for image in images:
            write_image(root / image, seed := seed + 1)
        (root / f"{split}_image_paths.csv").write_text("".join(f"MURA-v1.1/{i}\n" for i in images))
        lines = "".join(f"MURA-v1.1/{study}/,{label}\n" for study, label in own.items())
        (root / f"{split}_labeled_studies.csv").write_text(lines)
    return root


def graz_row(number: int, **changes: Any) -> dict[str, Any]:
    """Patient 1 has the images 0 and 1 of one study; odd images show a fracture."""
    base = {
        "filestem": f"000{number // 2 + 1}_1_0{number}_WRI-L{number % 2 + 1}_M014",
        "patient_id": number // 2 + 1,
        "study_number": 1,
        "gender": "M",
        "age": "14.1",
        "laterality": "L",
        "projection": number % 2 + 1,
        "cast": "1.0",
        "fracture_visible": "1.0" if number % 2 else "",
        "ao_classification": "23r-M/2.1" if number % 2 else "",
    }
    return base | changes


def make_grazpedwri(root: Path, rows: Sequence[dict[str, Any]] | None = None) -> Path:
    """16-bit images in images_part1/ and images_part2/; fractured ones have a fracture box and a text box."""
    rows = [graz_row(number) for number in range(4)] if rows is None else rows
    for number, row in enumerate(rows):
        write_image(root / f"images_part{number % 2 + 1}" / f"{row['filestem']}.png", number, 50, 40)
        if row["fracture_visible"]:
            text = "3 0.5 0.5 0.2 0.4\n8 0.1 0.1 0.1 0.1\n"
            write_yolo(root / f"folder_structure/yolov5/labels/{row['filestem']}.txt", text)
    write_csv(root / "dataset.csv", GRAZ_COLUMNS, rows)
    return root


NIH_LINES = (
    "00000001_000.png,Cardiomegaly,0,1,057Y,M,PA,2682,2749,0.143,0.143,",
    "00000001_001.png,Cardiomegaly|Effusion,1,1,058Y,M,PA,2894,2729,0.143,0.143,",
    "00000002_000.png,No Finding,0,2,81,F,AP,2500,2048,0.171,0.171,",
    "00000003_000.png,Infiltration,0,3,414,F,AP,2500,2048,0.171,0.171,",
)


def make_nih(root: Path, lines: Sequence[str] = NIH_LINES) -> Path:
    """Images of 64 x 64 pixels in images_001/images/, one box each of Effusion, Infiltrate and Mass."""
    for number, line in enumerate(lines):
        write_image(root / "images_001/images" / line.split(",")[0], number, 64, 64)
    (root / "Data_Entry_2017.csv").write_text("\n".join((NIH_HEADER, *lines)) + "\n")
    boxes = (
        "Image Index,Finding Label,Bbox [x,y,w,h],,,",
        "00000001_001.png,Effusion,16,8,32,16",
        "00000003_000.png,Infiltrate,0,0,32,32",
        "00000002_000.png,Mass,1,1,2,2",
    )
    (root / "BBox_List_2017.csv").write_text("\n".join(boxes) + "\n")
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (root / "test_list.txt").write_text("00000002_000.png\n00000003_000.png\n")
    return root


def make_rsna(root: Path) -> Path:
    """Three training images in a folder within the folder, one test image."""
    write_csv(
        root / "boneage-training-dataset.csv",
        ("id", "boneage", "male"),
        [{"id": 1377 + n, "boneage": 12 * (n + 1), "male": n % 2 == 0} for n in range(3)],
    )
    for number in range(3):
        nested = root / "boneage-training-dataset/boneage-training-dataset"
        write_image(nested / f"{1377 + number}.png", number)
    write_csv(root / "boneage-test-dataset.csv", ("Case ID", "Sex"), [{"Case ID": 4360, "Sex": "F"}])
    write_image(root / "boneage-test-dataset/4360.png", 9)
    return root


def make_class_folders(root: Path, names: Sequence[str] = ("fractured", "normal")) -> Path:
    """Two images a folder, of the patients p1 and p2."""
    for number, name in enumerate(names):
        for patient in (1, 2):
            write_image(root / name / f"p{patient}_{number}.png", 10 * number + patient)
    return root


def make_dicom_dir(root: Path, columns: Sequence[str] = ("sop_instance_uid", "fractured")) -> Path:
    """Three images of two patients; a fourth file has no row."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 4096, (40, 30)).astype(np.uint16)
        elements = {
            "SOPInstanceUID": f"1.2.3.{number}",
            "StudyInstanceUID": f"1.2.9.{number // 2}",
            "PatientID": f"clinic-{number // 2}",
            "PatientName": "Doe^Jane",
            "PatientAge": "041Y",
            "PatientSex": "F",
            "BodyPartExamined": "HAND",
            "ViewPosition": "PA",
            "ImageLaterality": "L",
        }
        (root / f"{number}.dcm").write_bytes(dicom(pixels, **elements))
    rows = [
        {
            "sop_instance_uid": f"1.2.3.{n}",
            "SOPInstanceUID": f"1.2.3.{n}",
            "file": f"{n}.dcm",
            "fractured": n % 2,
        }
        for n in range(3)
    ]
    write_csv(root / "labels.csv", columns, [{name: row.get(name, "") for name in columns} for row in rows])
    return root
