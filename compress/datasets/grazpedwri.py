"""GRAZPEDWRI-DX: wrists of children after an injury, with boxes.

Source: Nagy, Janisch, Hržić, Sorantin, Tschauner, A pediatric wrist trauma X-ray dataset (GRAZPEDWRI-DX) for
machine learning, Scientific Data, 2022.

Layout: dataset.csv (one row an image, column filestem), images/ or images_part1/ to images_part4/ with 16-bit
PNG files, and YOLO boxes in folder_structure/yolov5/labels/ (or labels/), where class 3 is a fracture.

The label is 1 where `fracture_visible` is 1, else 0; an empty cell means 0, as published. Images whose
diagnosis is uncertain keep their label and carry the tag "diagnosis_uncertain". A fracture box on an image
labelled 0 is a contradiction and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compress.datasets.annotations import faults_of, parse_yolo
from compress.datasets.base import Case, FractionBox
from compress.datasets.cells import parse_age, parse_flag, parse_sex, parse_side, parsed
from compress.datasets.csv_files import Record, header_of, read_records
from compress.datasets.image_files import by_name, images_below, scan, without_row
from compress.datasets.layout import Layout, without_rule
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars

NAME = "grazpedwri"
_TABLE = "dataset.csv"
_NEEDED = ("filestem", "patient_id", "fracture_visible")
_FRACTURE = 3
_LABEL_FOLDERS = ("folder_structure/yolov5/labels", "yolov5/labels", "labels")
_VIEWS = {"1": "frontal", "2": "lateral", "3": "oblique", "": ""}
_FLAGS = ("initial_exam", "cast", "diagnosis_uncertain", "osteopenia", "metal")
_RULE = "label: 1 where fracture_visible is 1, else 0; boxes: YOLO class 3"


def recognises(path: Path) -> bool:
    """Whether dataset.csv has this dataset's own columns."""
    return {"filestem", "fracture_visible"} <= set(header_of(path / _TABLE))


def read_grazpedwri(root: Path) -> Reading:
    """Everything in the folder. Raises StepError for a dataset.csv that is no table or lacks a column."""
    faults: list[str] = []
    _, records = read_records(root / _TABLE, _NEEDED, faults)
    problems = list(map(Problem, faults))
    path_of = by_name(images_below(root, (".png",)), root, problems, lambda path: path.stem)
    labels = next((root / name for name in _LABEL_FOLDERS if (root / name).is_dir()), None)
    drafts: list[Case] = []
    for line, record in records:
        own: list[str] = []
        draft = _draft(record, path_of, labels, own)
        stem = record["filestem"]
        problems += [Problem(f"{_TABLE} line {line} ({stem}): {text}", stem) for text in own]
        drafts += [draft] if draft is not None else []
    strangers = without_row(set(path_of) - {record["filestem"] for _, record in records}, _TABLE)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=(*_notes(labels, drafts), *strangers),
    )
    return finish(reading, scan(case.path for case in drafts), read_sidecars(root))


def _draft(
    record: Record, path_of: Mapping[str, Path], labels: Path | None, faults: list[str]
) -> Case | None:
    stem = record["filestem"]
    path = path_of.get(stem)
    if path is None:
        faults.append(f"image {stem + '.png'!r} is missing")
    label = _flag(record, "fracture_visible", faults)
    view = parsed(_view, record.get("projection", ""), faults)
    age_years = parsed(parse_age, record.get("age", ""), faults)
    sex = parsed(parse_sex, record.get("gender", ""), faults)
    tags = _tags(record, faults)
    if not record["patient_id"]:
        faults.append("patient_id is empty")
    row_is_sound = not faults
    boxes = _boxes(labels, stem, faults)
    if boxes and label == 0:
        faults.append(f"no visible fracture, yet it has {len(boxes)} fracture boxes")
    if path is None or label is None or not row_is_sound:
        return None
    return Case(
        case_id=stem,
        patient_id=record["patient_id"],
        path=path,
        label=label,
        body_part="wrist",
        view=view or "",
        boxes=boxes,
        tags=tags,
        study_id=f"{record['patient_id']}/{record.get('study_number') or '1'}",
        age_years=age_years,
        sex=sex or "",
    )


def _flag(record: Record, name: str, faults: list[str]) -> int | None:
    return parsed(lambda text: parse_flag(_whole(text), name), record[name], faults)


def _view(text: str) -> str:
    if _whole(text) not in _VIEWS:
        raise ValueError(f"projection must be 1, 2, 3 or empty, got {text!r}")
    return _VIEWS[_whole(text)]


def _tags(record: Record, faults: list[str]) -> dict[str, str]:
    tags = {name: str(_flag(record, name, faults)) for name in _FLAGS if name in record}
    side = parsed(parse_side, record.get("laterality", ""), faults)
    if side:
        tags["laterality"] = side
    if record.get("ao_classification"):
        tags["ao_classification"] = record["ao_classification"]
    return tags


def _boxes(labels: Path | None, stem: str, faults: list[str]) -> tuple[FractionBox, ...]:
    path = labels / f"{stem}.txt" if labels is not None else None
    if path is None or not path.is_file():
        return ()
    try:
        return parse_yolo(path.read_text(encoding="utf-8-sig"), (_FRACTURE,)).boxes
    except (OSError, ValueError) as error:
        faults += [f"{path.name}: {fault}" for fault in faults_of(error)]
        return ()


def _notes(labels: Path | None, drafts: list[Case]) -> list[str]:
    notes = [_RULE]
    if labels is None:
        notes.append(f"there are no boxes: none of the folders {', '.join(_LABEL_FOLDERS)} is there")
    else:
        unmarked = sum(case.label == 1 and not case.boxes for case in drafts)
        notes.append(f"{unmarked} images with a visible fracture have no fracture box")
    return notes


def _whole(text: str) -> str:
    """ "1" for the "1.0" that a spreadsheet made of it."""
    return text.removesuffix(".0")


LAYOUT = Layout(
    name=NAME,
    marker="dataset.csv with the columns filestem and fracture_visible (GRAZPEDWRI-DX)",
    recognises=recognises,
    read=without_rule(read_grazpedwri),
)
