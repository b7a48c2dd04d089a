"""A folder of radiographs described by a CSV table: the generic way to bring one's own data.

Columns: image_id, file (path inside the folder) and fractured are needed. body_part, view (or views), boxes
(JSON list of [x0, y0, x1, y1] as fractions of width and height) and group (or patient_id) are understood;
every other column becomes a tag of the case. Ids and file names are for people: nothing here puts them where
a network could see them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from compress.datasets.base import Case, FractionBox
from compress.datasets.problems import refuse
from runtime import readers
from runtime.errors import StepError, UnreadableImageError
from runtime.radiograph import Radiograph

TABLE = "labels.csv"
_NEEDED = ("image_id", "file", "fractured")
_PATIENT_COLUMNS = ("group", "patient_id")
_VIEW_COLUMNS = ("view", "views")
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "no": 0, "yes": 1}
_UNKNOWN_PART = "unknown"
_HASH_THREADS = 2
_LARGEST_CELL = 1 << 20
_HINT = "mend the table or leave those rows out"


class TableDataset:
    """The cases of `root/table`, all checked when it is opened.

    Raises StepError that lists every problem of the table and its files: missing columns and files,
    unreadable labels, ids or files named twice, impossible boxes, paths that leave the folder, and the same
    image under two patients (it would leak from one set into another) or with two labels. Pixels are not
    decoded here.
    Warns (UserWarning) when no column names the patient, since splits then go by image.
    """

    def __init__(self, root: Path, table: str = TABLE) -> None:
        self.name = root.resolve().name
        parsed = _parse(root, table)
        self.image_digests: Mapping[str, str] = _digest_images(parsed.cases)
        refuse(f"{root / table}", _shared_images(parsed.cases, self.image_digests), _HINT)
        self._cases = parsed.cases
        self.digest = _digest(parsed.cases, self.image_digests)
        self.has_patients = parsed.has_patients
        if not parsed.has_patients:
            warnings.warn(
                f"{root / table} has no column {' or '.join(_PATIENT_COLUMNS)}: every image counts as a "
                "patient, so images of one person can end up in both training and test sets",
                stacklevel=2,
            )

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, in the table's order."""
        return self._cases

    def load(self, case: Case) -> Radiograph:
        """Read one image. Raises InputError, also when the file changed after the dataset was opened."""
        radiograph = readers.read_file(case.path)
        if radiograph.sha256 != self.image_digests[case.case_id]:
            raise UnreadableImageError(
                f"{case.path.name} changed while the dataset was in use",
                "let nothing write there, then run again",
            )
        return radiograph


@dataclass(frozen=True)
class _Parsed:
    cases: tuple[Case, ...]
    has_patients: bool


def _parse(root: Path, table: str) -> _Parsed:
    path = root / table
    columns, rows = _read_rows(path)
    missing = [f"column {name} is missing" for name in _NEEDED if name not in columns]
    refuse(f"{path}", missing, f"needed columns: {', '.join(_NEEDED)}")
    reader = _RowReader(root.resolve(), root, columns)
    cases: list[Case] = []
    problems: list[str] = []
    for line, row in rows:
        case, faults = reader.read(row)
        problems += [f"line {line}: {fault}" for fault in faults]
        if case is not None:
            cases.append(case)
    problems += _repeated(cases)
    if not cases and not problems:
        problems.append("it holds no rows")
    refuse(f"{path}", problems, _HINT)
    return _Parsed(tuple(cases), reader.patient_column is not None)


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            return columns, [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StepError(
            f"cannot read {path}: {reason}", "expected a UTF-8 CSV table with a header"
        ) from error


class _RowReader:
    """One row -> one case, or what is wrong with the row."""

    def __init__(self, resolved_root: Path, root: Path, columns: Iterable[str]) -> None:
        known = set(columns)
        self._resolved_root = resolved_root
        self._root = root
        self.patient_column = next((name for name in _PATIENT_COLUMNS if name in known), None)
        self._view_column = next((name for name in _VIEW_COLUMNS if name in known), None)
        used = {*_NEEDED, "body_part", "boxes", self.patient_column, self._view_column}
        self._tag_columns = [name for name in columns if name not in used and name]

    def read(self, row: Mapping[Any, Any]) -> tuple[Case | None, list[str]]:
        if None in row or None in row.values():
            return None, ["it has more or fewer cells than the header"]
        cell = {name: value.strip() for name, value in row.items()}
        faults: list[str] = []
        label = self._label(cell, faults)
        boxes = _boxes(cell.get("boxes", ""), faults)
        if label == 0 and boxes:
            faults.append("not fractured, yet it has fracture boxes")
        path = self._path(cell["file"], faults)
        if not cell["image_id"]:
            faults.append("image_id is empty")
        patient = cell[self.patient_column] if self.patient_column else cell["image_id"]
        if self.patient_column and not patient:
            faults.append(f"{self.patient_column} is empty")
        if faults or path is None or label is None:
            return None, faults
        return Case(
            case_id=cell["image_id"],
            patient_id=patient,
            path=path,
            label=label,
            body_part=cell.get("body_part") or _UNKNOWN_PART,
            view=cell[self._view_column] if self._view_column else "",
            boxes=boxes,
            tags={name: cell[name] for name in self._tag_columns},
        ), []

    def _label(self, cell: Mapping[str, str], faults: list[str]) -> int | None:
        label = _LABELS.get(cell["fractured"].lower())
        if label is None:
            faults.append(f"fractured must be 0 or 1, got {cell['fractured']!r}")
        return label

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


def _boxes(text: str, faults: list[str]) -> tuple[FractionBox, ...]:
    if not text:
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        faults.append("boxes is not JSON")
        return ()
    if not isinstance(value, list):
        faults.append("boxes must be a list of [x0, y0, x1, y1]")
        return ()
    boxes = []
    for item in value:
        if _is_box(item):
            boxes.append((float(item[0]), float(item[1]), float(item[2]), float(item[3])))
        else:
            faults.append(
                f"box {str(item)[:60]} is not [x0, y0, x1, y1] with 0 <= x0 < x1 <= 1, 0 <= y0 < y1 <= 1"
            )
    return tuple(boxes)


def _is_box(item: Any) -> bool:
    if not isinstance(item, list) or len(item) != 4:
        return False
    if not all(type(value) in (int, float) and math.isfinite(value) for value in item):
        return False
    x0, y0, x1, y1 = item
    return bool(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1)


def _repeated(cases: Iterable[Case]) -> Iterator[str]:
    ids: set[str] = set()
    paths: set[Path] = set()
    for case in cases:
        if case.case_id in ids:
            yield f"image_id {case.case_id!r} is used twice"
        if case.path in paths:
            yield f"file {case.path.name!r} is named twice"
        ids.add(case.case_id)
        paths.add(case.path)


def _digest_images(cases: tuple[Case, ...]) -> dict[str, str]:
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        digests = pool.map(_digest_file, cases)
        try:
            return dict(zip((case.case_id for case in cases), digests, strict=True))
        except OSError as error:
            raise StepError(f"cannot read {error.filename}: {error.strerror}", "check the folder") from error


def _digest_file(case: Case) -> str:
    with case.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _shared_images(cases: Iterable[Case], digests: Mapping[str, str]) -> list[str]:
    first: dict[str, Case] = {}
    problems = []
    for case in cases:
        other = first.setdefault(digests[case.case_id], case)
        if other.patient_id != case.patient_id:
            problems.append(f"{case.case_id!r} and {other.case_id!r} are the same image under two patients")
        elif other.label != case.label:
            problems.append(f"{case.case_id!r} and {other.case_id!r} are the same image with two labels")
    return problems


def _digest(cases: Iterable[Case], digests: Mapping[str, str]) -> str:
    facts = [
        [c.case_id, c.patient_id, c.label, c.body_part, c.view, c.boxes, digests[c.case_id]]
        for c in sorted(cases, key=lambda c: c.case_id)
    ]
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()
