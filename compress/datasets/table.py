"""A folder of radiographs described by a CSV table: the generic way to bring one's own data.

Columns: image_id, file (path inside the folder) and fractured are needed. body_part, view (or views), boxes
(JSON list of [x0, y0, x1, y1] as fractions of width and height), group (or patient_id), study_id (or study),
age (years, or DICOM's 006M) and sex are understood; every other column becomes a tag of the case. Ids and
file names are for people: nothing here puts them where a network could see them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from compress.datasets.base import Case
from compress.datasets.boxes import parse_json_boxes
from compress.datasets.cells import UNKNOWN_PART, parse_age, parse_label, parse_sex
from compress.datasets.csv_files import RAGGED, is_ragged, read_rows, refuse_missing
from compress.datasets.digests import digest_images, shared_images
from compress.datasets.problems import Problem, refuse
from compress.datasets.reading import FileDataset, Reading, repeated
from runtime.errors import StepError

TABLE = "labels.csv"
NAME = "table"
_NEEDED = ("image_id", "file", "fractured")
_PATIENT_COLUMNS = ("group", "patient_id")
_VIEW_COLUMNS = ("view", "views")
_STUDY_COLUMNS = ("study_id", "study")
_HINT = "mend the table or leave those rows out"
_T = TypeVar("_T")


class TableDataset(FileDataset):
    """The cases of `root/table`, all checked when it is opened.

    Raises StepError that lists every problem of the table and its files: missing columns and files,
    unreadable labels, ids or files named twice, impossible boxes, paths that leave the folder, and the same
    image under two patients (it would leak from one set into another) or with two labels. Pixels are not
    decoded here.
    Warns (UserWarning) when no column names the patient, since splits then go by image.
    """

    def __init__(self, root: Path, table: str = TABLE) -> None:
        reading = read_table(root, table)
        refuse(f"{root / table}", reading.problems, _HINT)
        super().__init__(reading)
        if not self.has_patients:
            warnings.warn(
                f"{root / table} has no column {' or '.join(_PATIENT_COLUMNS)}: every image counts as a "
                "patient, so images of one person can end up in both training and test sets",
                stacklevel=2,
            )


def read_table(root: Path, table: str = TABLE) -> Reading:
    """The table's sound rows and what is wrong with the others.

    Raises StepError for a file that is no table, lacks a needed column or holds no row.
    """
    path = root / table
    columns, rows = read_rows(path)
    refuse_missing(path, columns, _NEEDED)
    reader = _RowReader(root, columns)
    cases: list[Case] = []
    problems: list[Problem] = []
    for line, row in rows:
        case, faults = reader.read(row)
        problems += [Problem(f"line {line}: {fault}") for fault in faults]
        if case is not None:
            cases.append(case)
    problems += repeated(cases)
    if not cases and not problems:
        raise StepError(f"{path} holds no rows", "one row an image is needed")
    digests = digest_images(tuple(cases))
    problems += shared_images(cases, digests)
    return Reading(
        layout=NAME,
        root=root,
        cases=tuple(cases),
        image_digests=digests,
        problems=tuple(problems),
        has_patients=reader.patient_column is not None,
    )


class _RowReader:
    """One row -> one case, or what is wrong with the row."""

    def __init__(self, root: Path, columns: Iterable[str]) -> None:
        known = list(columns)
        self._resolved_root = root.resolve()
        self._root = root
        self.patient_column = _first(_PATIENT_COLUMNS, known)
        self._view_column = _first(_VIEW_COLUMNS, known)
        self._study_column = _first(_STUDY_COLUMNS, known)
        used = {
            *_NEEDED,
            *("body_part", "boxes", "age", "sex"),
            self.patient_column,
            self._view_column,
            self._study_column,
        }
        self._tag_columns = [name for name in known if name not in used and name]

    def read(self, row: dict[Any, Any]) -> tuple[Case | None, list[str]]:
        if is_ragged(row):
            return None, [RAGGED]
        cell = {name: value.strip() for name, value in row.items()}
        faults: list[str] = []
        label = _parsed(parse_label, cell["fractured"], faults)
        boxes = parse_json_boxes(cell.get("boxes", ""), faults)
        age_years = _parsed(parse_age, cell.get("age", ""), faults)
        sex = _parsed(parse_sex, cell.get("sex", ""), faults)
        if label == 0 and boxes:
            faults.append("not fractured, yet it has fracture boxes")
        path = self._path(cell["file"], faults)
        patient = self._patient(cell, faults)
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
            study_id=cell.get(self._study_column or "", ""),
            age_years=age_years,
            sex=sex or "",
        ), []

    def _patient(self, cell: Mapping[str, str], faults: list[str]) -> str:
        if not cell["image_id"]:
            faults.append("image_id is empty")
        patient = cell[self.patient_column] if self.patient_column else cell["image_id"]
        if self.patient_column and not patient:
            faults.append(f"{self.patient_column} is empty")
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


def _parsed(parse: Callable[[str], _T], text: str, faults: list[str]) -> _T | None:
    try:
        return parse(text)
    except ValueError as error:
        faults.append(str(error))
        return None
