"""CSV tables as the field publishes them: read whole, ragged rows named by their line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO, TypeVar

from compress.datasets.problems import refuse
from runtime.errors import StepError

_LARGEST_CELL = 1 << 20
_T = TypeVar("_T")

Record = dict[str, str]
RAGGED = "it has more or fewer cells than the header"


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
    """(columns, (line, row) of each row) of a table with a header; a row's cells may be too few or too many.

    Raises StepError for a file that is no UTF-8 CSV.
    """

    def read(stream: TextIO) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
        reader = csv.DictReader(stream, strict=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        return columns, [(reader.line_num, row) for row in reader]

    return _opened(path, read, "expected a UTF-8 CSV table with a header")


def read_records(
    path: Path, needed: Iterable[str], problems: list[str]
) -> tuple[list[str], list[tuple[int, Record]]]:
    """As `read_rows`, cells stripped; ragged rows are left out and added to `problems`.

    Raises StepError that lists the missing columns.
    """
    columns, rows = read_rows(path)
    refuse_missing(path, columns, needed)
    records = []
    for line, row in rows:
        if is_ragged(row):
            problems.append(f"{path.name} line {line}: {RAGGED}")
        else:
            records.append((line, {name: value.strip() for name, value in row.items()}))
    return columns, records


def refuse_missing(path: Path, columns: Iterable[str], needed: Iterable[str]) -> None:
    """Raise StepError that lists the needed columns which are not there."""
    wanted, known = list(needed), set(columns)
    missing = [f"column {name} is missing" for name in wanted if name not in known]
    refuse(f"{path}", missing, f"needed columns: {', '.join(wanted)}")


def is_ragged(row: dict[Any, Any]) -> bool:
    """Whether the row has more or fewer cells than the header."""
    return None in row or None in row.values()


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """(line, stripped cells) of a table without a usable header; empty lines are left out."""

    def read(stream: TextIO) -> list[tuple[int, list[str]]]:
        reader = csv.reader(stream, strict=True)
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]

    return _opened(path, read, "expected a UTF-8 CSV table")


def header_of(path: Path) -> list[str]:
    """The column names, empty where the file is no table: for recognising a layout, hence without errors."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _opened(path: Path, read: Callable[[TextIO], _T], hint: str) -> _T:
    csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return read(stream)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StepError(f"cannot read {path}: {reason}", hint) from error
