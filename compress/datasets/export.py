"""Any dataset as the generic table, which every verb opens; and tables of faults, for people to look at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.datasets.base import Case
from compress.datasets.perceptual import Similar
from compress.datasets.problems import Problem, refuse
from compress.datasets.reading import Reading
from compress.datasets.sidecars import caution_path
from runtime.errors import StepError

_GROUP = "group"
_COLUMNS = ("image_id", "file", "fractured", "body_part", "view", _GROUP, "boxes", "study_id", "age", "sex")


def write_labels(reading: Reading, path: Path) -> None:
    """Write the cases as labels.csv has them; opened again, they have the digest and the warnings they had.

    The column group is left out where nothing names patients, and empty where a study stands for one. A
    caution about the labels goes into a file beside the table (`caution_path`).
    Raises StepError where a file is there already, cannot be written, or does not lie above all images.
    """
    cases = reading.cases
    folder = path.resolve().parent
    outside = [
        f"{case.case_id!r} lies at {case.path}"
        for case in cases
        if not case.path.resolve().is_relative_to(folder)
    ]
    refuse(f"{path} must lie above the images it names", outside, "write it into the dataset's own folder")
    tags = list(dict.fromkeys(name for case in cases for name in case.tags))
    clash = sorted(set(tags) & set(_COLUMNS))
    refuse(f"{path}", [f"the tag {name!r} is a column of its own" for name in clash], "rename it")
    columns = [name for name in _COLUMNS if name != _GROUP or reading.has_patients]
    rows = [{**_row(case, folder, case.case_id in reading.by_study), **case.tags} for case in cases]
    _refuse_used(path)
    if reading.caution:  # first, so that there is never a table without it
        write_new(caution_path(path), reading.caution + "\n")
    write_new(path, csv_text((*columns, *tags), rows))


def problems_csv(problems: Iterable[Problem]) -> str:
    """As excluded.csv wants it: one row an image, for those problems that leaving an image out would mend."""
    reasons: dict[str, list[str]] = {}
    for problem in problems:
        if problem.case_id:
            reasons.setdefault(problem.case_id, []).append(problem.text)
    rows = [{"image_id": case_id, "reason": "; ".join(texts)} for case_id, texts in sorted(reasons.items())]
    return csv_text(("image_id", "reason"), rows)


def groups_csv(group_of: Mapping[str, str]) -> str:
    """As groups.csv wants it."""
    return csv_text(("image_id", "group"), [{"image_id": i, "group": g} for i, g in group_of.items()])


def pairs_csv(pairs: Iterable[Similar], cases: Iterable[Case]) -> str:
    """Near-duplicates with both patients and labels."""
    known = {case.case_id: case for case in cases}
    rows = []
    for pair in pairs:
        one, other = known[pair.first], known[pair.second]
        rows.append(
            {
                "first": pair.first,
                "second": pair.second,
                "distance_bits": pair.distance_bits,
                "correlation": f"{pair.correlation:.4f}",
                "first_patient": one.patient_id,
                "second_patient": other.patient_id,
                "first_label": one.label,
                "second_label": other.label,
            }
        )
    columns = ("first", "second", "distance_bits", "correlation", "first_patient", "second_patient")
    return csv_text((*columns, "first_label", "second_label"), rows)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table with a header; a missing value is an empty cell, a value without a column is left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet. Raises StepError."""
    _refuse_used(path)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise StepError(f"cannot write {path}: {error.strerror}", "check the folder and the disk") from error


def _refuse_used(path: Path) -> None:
    if path.exists():
        raise StepError(f"{path} is there already", "name another file, or move it away")


def _row(case: Case, folder: Path, by_study: bool) -> dict[str, Any]:
    return {
        "image_id": case.case_id,
        "file": case.path.resolve().relative_to(folder).as_posix(),
        "fractured": case.label,
        "body_part": case.body_part,
        "view": case.view,
        _GROUP: "" if by_study else case.patient_id,
        "boxes": json.dumps(case.boxes),
        "study_id": case.study_id,
        "age": "" if case.age_years is None else repr(case.age_years),
        "sex": case.sex,
    }
