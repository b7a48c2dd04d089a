"""A folder of radiographs described by a CSV table: the generic way to bring one's own data.

Columns: image_id, file (path inside the folder) and fractured are needed. body_part, view (or views), boxes
(JSON list of [x0, y0, x1, y1] as fractions of width and height), group (or patient_id), study_id (or study),
age (years, or DICOM's 006M) and sex are understood; every other column becomes a tag of the case. Ids and
file names are for people: nothing here puts them where a network could see them. Tables excluded.csv and
groups.csv beside it are followed (see sidecars.py).

Where a row names no patient its study counts as one (see patients.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from compress.datasets.base import Case
from compress.datasets.boxes import parse_json_boxes
from compress.datasets.cells import UNKNOWN_PART, parse_age, parse_label, parse_sex, parsed
from compress.datasets.csv_files import RAGGED, is_ragged, read_rows
from compress.datasets.digests import digest_images, shared_images
from compress.datasets.patients import stand_in
from compress.datasets.problems import Problem
from compress.datasets.reading import FileDataset, Reading, apply_sidecars
from compress.datasets.sidecars import read_caution, read_sidecars
from runtime.errors import StepError

TABLE = "labels.csv"
NAME = "table"
_NEEDED = ("image_id", "file", "fractured")
_PATIENT_COLUMNS = ("group", "patient_id")
_VIEW_COLUMNS = ("view", "views")
_STUDY_COLUMNS = ("study_id", "study")


class TableDataset(FileDataset):
    """The cases of `root/table`, all checked when it is opened.

    Raises StepError that lists every problem of the table and its files: missing columns and files,
    unreadable labels, ids or files named twice, impossible boxes, paths that leave the folder, and the same
    image under two patients (it would leak from one set into another) or with two labels. Pixels are not
    decoded here.
    Warns (UserWarning) when no column names the patient, since splits then go by study, or by image where
    there is no study either; and when label 1 is said to mean something else than a fracture.
    """

    def __init__(self, root: Path, table: str = TABLE) -> None:
        reading = read_table(root, table)
        reading.check()
        super().__init__(reading)


def read_table(root: Path, table: str = TABLE) -> Reading:
    """The table's sound rows and what is wrong with the others.

    Raises StepError for a file that is no table, lacks a needed column or holds no row.
    """
    path = root / table
    columns, rows = read_rows(path, _NEEDED)
    reader = _RowReader(root, columns)
    drafts: list[Case] = []
    problems: list[Problem] = []
    for line, row in rows:
        draft, faults = reader.read(row)
        case_id = "" if is_ragged(row) else row["image_id"].strip()
        problems += [Problem(f"line {line}: {fault}", case_id) for fault in faults]
        drafts += [draft] if draft is not None else []
    if not drafts and not problems:
        raise StepError(f"{path} holds no rows", "one row an image is needed")
    units = stand_in(drafts)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=units.cases,
        problems=(*problems, *units.problems),
        has_patients=any(draft.patient_id for draft in drafts),
        caution=read_caution(path),
        by_study=units.by_study,
        source=path,
    )
    return _with_digests(apply_sidecars(reading, read_sidecars(root)))


def _with_digests(reading: Reading) -> Reading:
    digests = digest_images(reading.cases)
    problems = (*reading.problems, *shared_images(reading.cases, digests))
    return dataclasses.replace(reading, image_digests=digests, problems=problems)


class _RowReader:
    """One row -> one case, or what is wrong with the row."""

    def __init__(self, root: Path, columns: Iterable[str]) -> None:
        known = list(columns)
        self._resolved_root = root.resolve()
        self._root = root
        self._patient_columns = [name for name in _PATIENT_COLUMNS if name in known]
        self._view_column = _first(_VIEW_COLUMNS, known)
        self._study_column = _first(_STUDY_COLUMNS, known)
        used = {
            *_NEEDED,
            *("body_part", "boxes", "age", "sex"),
            *self._patient_columns[:1],
            self._view_column,
            self._study_column,
        }
        self._tag_columns = [name for name in known if name not in used and name]

    def read(self, row: dict[Any, Any]) -> tuple[Case | None, list[str]]:
        if is_ragged(row):
            return None, [RAGGED]
        cell = {name: value.strip() for name, value in row.items()}
        faults: list[str] = []
        label = parsed(parse_label, cell["fractured"], faults)
        boxes = parse_json_boxes(cell.get("boxes", ""), faults)
        age_years = parsed(parse_age, cell.get("age", ""), faults)
        sex = parsed(parse_sex, cell.get("sex", ""), faults)
        if label == 0 and boxes:
            faults.append("not fractured, yet it has fracture boxes")
        path = self._path(cell["file"], faults)
        study = cell.get(self._study_column or "", "")
        patient = self._patient(cell, study, faults)
        if faults or path is None or label is None:
            return None, faults
        return Case(
            case_id=cell["image_id"],
            patient_id=patient,
            path=path,
            label=label,
            body_part=cell.get("body_part") or UNKNOWN_PART,
            view=cell.get(self._view_column or "", ""),
            boxes=boxes,
            tags={name: cell[name] for name in self._tag_columns},
            study_id=study,
            age_years=age_years,
            sex=sex or "",
        ), []

    def _patient(self, cell: Mapping[str, str], study: str, faults: list[str]) -> str:
        """As the row names it, "" where it does not: then its study, or without patient columns the image."""
        if not cell["image_id"]:
            faults.append("image_id is empty")
        patient = next((cell[name] for name in self._patient_columns if cell[name]), "")
        if self._patient_columns and not patient and not study:
            faults.append(f"{self._patient_columns[0]} is empty")
        return patient

    def _path(self, name: str, faults: list[str]) -> Path | None:
        if not name or "\0" in name:
            faults.append(f"file must be a path inside the folder, got {name!r}")
            return None
        path = self._root / PurePosixPath(name)
        if not path.resolve().is_relative_to(self._resolved_root):
            faults.append(f"file {name!r} lies outside the folder")
        elif not path.is_file():
            faults.append(f"file {name!r} is missing")
        else:
            return path
        return None


def _first(names: Iterable[str], known: Iterable[str]) -> str | None:
    there = set(known)
    return next((name for name in names if name in there), None)
