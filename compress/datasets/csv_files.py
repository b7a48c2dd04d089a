"""CSV tables as the field publishes them: read whole, ragged rows named by their line, headers checked."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from compress.datasets.problems import refuse
from runtime.errors import StepError

_LARGEST_CELL = 1 << 20
_SHOWN_CHARS = 300
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_T = TypeVar("_T")

Record = dict[str, str]
RAGGED = "it has more or fewer cells than the header"


def read_rows(path: Path, needed: Iterable[str] = ()) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
    """(columns, (line, row) of each row) of a table with a header; a row's cells may be too few or too many.

    Raises StepError for a file that is no UTF-8 CSV, and one that lists the missing columns and those named
    twice.
    """

    def read(stream: TextIO) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
        reader = csv.DictReader(stream, strict=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        return columns, [(reader.line_num, row) for row in reader]

    columns, rows = _opened(path, read, "expected a UTF-8 CSV table with a header")
    refuse_header(path, columns, needed)
    return columns, rows


def read_records(
    path: Path, needed: Iterable[str], problems: list[str]
) -> tuple[list[str], list[tuple[int, Record]]]:
    """As `read_rows`, cells stripped; ragged rows are left out and added to `problems`.

    Raises StepError as `read_rows` does.
    """
    columns, rows = read_rows(path, needed)
    records = []
    for line, row in rows:
        if is_ragged(row):
            problems.append(f"{path.name} line {line}: {RAGGED}")
        else:
            records.append((line, {name: value.strip() for name, value in row.items()}))
    return columns, records


def refuse_header(path: Path, columns: Sequence[str], needed: Iterable[str]) -> None:
    """Raise StepError that lists the needed columns which are not there, and columns named twice.

    Columns without a name, which spreadsheets leave behind, may be several.
    """
    wanted = list(needed)
    missing = [name for name in wanted if name not in columns]
    found = ", ".join(filter(None, columns))[:_SHOWN_CHARS] or "none"
    separator = _other_separator(columns)
    if missing and separator:
        raise StepError(
            f"{path}: its cells are separated by {separator}, expected commas; its header is {found!r}",
            "save the table as CSV with commas between the cells",
        )
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    faults = [_missing(name, columns) for name in missing]
    faults += [f"column {name} is named twice" for name in twice]
    refuse(f"{path}", faults, f"name each once, as written here: {', '.join(wanted)}; columns found: {found}")


def _other_separator(columns: Sequence[str]) -> str:
    """In words, what the one cell of this header is divided by; "" where it is not."""
    alone = columns[0] if len(columns) == 1 else ""
    return next((word for mark, word in _SEPARATORS.items() if mark in alone), "")


def _missing(name: str, columns: Iterable[str]) -> str:
    alike = [column for column in columns if _letters(column) == _letters(name)]
    return f"column {name} is missing" + (f" (rename {alike[0]!r} to it)" if alike else "")


def _letters(name: str) -> str:
    """What stays of a column's name whatever its capitals and whatever stands between its words."""
    return "".join(filter(str.isalnum, name.lower()))


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
