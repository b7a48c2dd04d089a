"""RSNA Pediatric Bone Age: left hands of children, labelled with the age of the skeleton.

Source: Halabi and others, The RSNA Pediatric Bone Age Machine Learning Challenge, Radiology, 2019.

Layout: boneage-training-dataset.csv (id, boneage in months, male) with the images ID.png in
boneage-training-dataset/ (or in a folder of the same name within it), and, where it is there,
boneage-test-dataset.csv (Case ID, Sex) with its images.

**It knows no fractures.** The hands were exposed to judge growth and nobody looked for fractures: every label
is 0, "not known to be fractured". So it cannot train or measure a detector alone (a division by patient
refuses a set without fractures); use it for the statistics of what a hand looks like and for pre-training.
The age of the skeleton is not the patient's age and is kept as the tag "bone_age_months". Every image is of
another patient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.datasets.base import Case
from compress.datasets.cells import parse_label, parse_sex, parsed
from compress.datasets.csv_files import Record, read_records
from compress.datasets.image_files import by_name, images_below, scan, without_row
from compress.datasets.layout import Layout, without_rule
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars

NAME = "rsna_boneage"
_RULE = "label: 0 throughout (not known to be fractured); nobody looked for fractures in these images"
_OLDEST_MONTHS = 300.0


@dataclass(frozen=True)
class _Part:
    """One table and its images: split, folder, and the columns of the image's number and what else it has."""

    split: str
    folder: str
    id_column: str
    needed: tuple[str, ...]


_PARTS = (
    _Part("train", "boneage-training-dataset", "id", ("id", "boneage", "male")),
    _Part("test", "boneage-test-dataset", "Case ID", ("Case ID", "Sex")),
)


def recognises(path: Path) -> bool:
    """Whether the folder holds the challenge's training table."""
    return (path / f"{_PARTS[0].folder}.csv").is_file()


def read_rsna_boneage(root: Path) -> Reading:
    """All images of the parts that are there. Raises StepError for a table that lacks a column."""
    problems: list[Problem] = []
    drafts: list[Case] = []
    notes: list[str] = []
    for part in _PARTS:
        if (root / f"{part.folder}.csv").is_file():
            drafts += _read_part(root, part, problems, notes)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=tuple(notes),
        caution=_RULE,
    )
    return finish(reading, scan(case.path for case in drafts), read_sidecars(root))


def _read_part(root: Path, part: _Part, problems: list[Problem], notes: list[str]) -> list[Case]:
    table = root / f"{part.folder}.csv"
    faults: list[str] = []
    _, records = read_records(table, part.needed, faults)
    problems += map(Problem, faults)
    path_of = by_name(images_below(root / part.folder), root, problems, lambda path: path.stem)
    drafts = []
    for line, record in records:
        case_id = record[part.id_column]
        own: list[str] = []
        draft = _draft(case_id, record, part, path_of, own)
        problems += [Problem(f"{table.name} line {line}: {text}", case_id) for text in own]
        drafts += [draft] if draft is not None else []
    notes += without_row(set(path_of) - {record[part.id_column] for _, record in records}, table.name)
    return drafts


def _draft(
    case_id: str, record: Record, part: _Part, path_of: Mapping[str, Path], faults: list[str]
) -> Case | None:
    if case_id not in path_of:
        faults.append(f"image {case_id + '.png'!r} is missing")
    tags = {"split": part.split}
    months = parsed(_months, record["boneage"], faults) if "boneage" in record else None
    if months is not None:
        tags["bone_age_months"] = f"{months:g}"
    sex = _sex(record, faults)
    if faults:
        return None
    return Case(
        case_id=case_id,
        patient_id=case_id,
        path=path_of[case_id],
        label=0,
        body_part="hand",
        view="frontal",
        tags={**tags, "laterality": "left"},
        sex=sex,
    )


def _months(text: str) -> float:
    try:
        months = float(text)
    except ValueError:
        months = math.nan
    if not 0 <= months <= _OLDEST_MONTHS:
        raise ValueError(f"boneage must be 0 to {_OLDEST_MONTHS:.0f} months, got {text!r}")
    return months


def _sex(record: Record, faults: list[str]) -> str:
    if "male" in record:
        return parsed(_sex_of_male, record["male"], faults) or ""
    return parsed(parse_sex, record["Sex"], faults) or ""


def _sex_of_male(text: str) -> str:
    return "male" if parse_label(text, "male") else "female"


LAYOUT = Layout(
    name=NAME,
    marker="boneage-training-dataset.csv (RSNA bone age)",
    recognises=recognises,
    read=without_rule(read_rsna_boneage),
)
