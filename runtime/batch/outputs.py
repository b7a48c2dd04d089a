"""What is drawn from findings.jsonl at the end: tables sorted by file, the failures, and the counts.

The answers are read one at a time by an index of where they stand; none but the index is held.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from runtime.batch import rows
from runtime.batch.journal import lines
from runtime.errors import UlnaError

CSV, PARQUET, JSONL = "csv", "parquet", "jsonl"
FORMATS = (JSONL, CSV, PARQUET)
_ROWS_A_BATCH = 1000


class _Sink(Protocol):
    def add(self, record: dict[str, Any]) -> None: ...


class Tally:
    """Counts of answers."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    @property
    def files(self) -> int:
        """All of them."""
        return sum(self.verdicts.values())

    @property
    def unreadable(self) -> int:
        """Of them."""
        return sum(self.refusals.values())

    def add(self, record: dict[str, Any]) -> None:
        """Count one."""
        self.verdicts[record["verdict"]] += 1
        if record["refusal"] is not None:
            self.refusals[record["refusal"]["code"]] += 1


def require_formats(formats: Sequence[str]) -> None:
    """Before the work: raises UlnaError for a format that is none or whose library is missing."""
    for name in formats:
        if name not in FORMATS:
            raise UlnaError(f"no format is called {name!r}", f"formats: {', '.join(FORMATS)}")
    if PARQUET in formats:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UlnaError("pyarrow is not installed", 'run pip install "ulna[batch]"') from error


def write_tables(folder: Path, journal: Path, formats: Sequence[str]) -> Tally:
    """findings.csv and findings.parquet as asked for, failures.csv always. Returns the counts.

    Each file is there whole or not at all. Raises OSError where it cannot be written.
    """
    tally = Tally()
    with contextlib.ExitStack() as open_files:
        sinks: list[_Sink] = [tally, open_files.enter_context(_failures(folder / "failures.csv"))]
        if CSV in formats:
            sinks.append(open_files.enter_context(_findings_csv(folder / "findings.csv")))
        if PARQUET in formats:
            sinks.append(open_files.enter_context(_findings_parquet(folder / "findings.parquet")))
        for record in _sorted_records(journal):
            for sink in sinks:
                sink.add(record)
    return tally


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """summary.json. Raises OSError."""
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    with _whole(folder / "summary.json") as part:
        part.write_text(text, encoding="utf-8")


def _sorted_records(journal: Path) -> Iterator[dict[str, Any]]:
    index = sorted((line.place.order, line.offset) for line in lines(journal))
    if not index:
        return
    with journal.open("rb") as file:
        for _, offset in index:
            file.seek(offset)
            yield json.loads(file.readline())


class _Csv:
    def __init__(self, file: Any, columns: Sequence[str]) -> None:
        # Text always in quotes: a spreadsheet that takes another letter for the comma must not split it.
        self._writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        self._writer.writerow(columns)

    def write(self, row: dict[str, Any]) -> None:
        self._writer.writerow([rows.cell(value) for value in row.values()])


class _Failures(_Csv):
    def add(self, record: dict[str, Any]) -> None:
        if record["refusal"] is not None:
            self.write(rows.failure_of(record))


class _Findings(_Csv):
    def add(self, record: dict[str, Any]) -> None:
        self.write(rows.row_of(record))


@contextlib.contextmanager
def _failures(path: Path) -> Iterator[_Sink]:
    with _whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield _Failures(file, rows.FAILURE_COLUMNS)


@contextlib.contextmanager
def _findings_csv(path: Path) -> Iterator[_Sink]:
    with _whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield _Findings(file, list(rows.COLUMNS))


class _Parquet:
    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._waiting: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        self._waiting.append(rows.row_of(record))
        if len(self._waiting) >= _ROWS_A_BATCH:
            self.flush()

    def flush(self) -> None:
        import pyarrow

        if self._waiting:
            self._writer.write_batch(pyarrow.RecordBatch.from_pylist(self._waiting, self._writer.schema))
            self._waiting = []


@contextlib.contextmanager
def _findings_parquet(path: Path) -> Iterator[_Sink]:
    import pyarrow
    from pyarrow import parquet

    kinds = {rows.TEXT: pyarrow.string(), rows.NUMBER: pyarrow.float64(), rows.COUNT: pyarrow.int64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in rows.COLUMNS.items()])
    with _whole(path) as part, parquet.ParquetWriter(part, schema) as writer:
        sink = _Parquet(writer)
        yield sink
        sink.flush()


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the other's place when all of it is on the disk."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
