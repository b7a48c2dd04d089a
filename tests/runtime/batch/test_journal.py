"""A disk that takes no more, in a process whose files may not grow."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.batch.journal import Journal, lines, tidy
from runtime.batch.outputs import write_tables
from runtime.batch.task import Place
from runtime.errors import UlnaError
from tests.runtime.batch.kit import ROOT, record, wait_until

APPEND_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from runtime.batch.journal import Journal
from runtime.batch.task import Place
from runtime.errors import UlnaError
from tests.runtime.batch.kit import record
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
written = 0
try:
    with Journal(Path(sys.argv[1])) as journal:
        while True:
            place = Place(str(written), "/" + str(written))
            journal.append(record(place))
            written += 1
except UlnaError as error:
    print(written, error, sep=";")
"""


def test_a_disk_that_is_full_is_told_and_loses_no_line_that_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    command = [sys.executable, "-c", APPEND_UNTIL_FULL, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    written, told = done.stdout.strip().split(";")

    assert told.startswith(f"cannot write {path}")
    assert path.stat().st_size == 50_000  # the last line is torn
    assert len(tidy(path)) == len(list(lines(path))) == int(written) > 10
    assert path.read_bytes().endswith(b"}\n")


def test_a_file_in_order_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    assert tidy(path) == set()
    assert not path.exists()
    write(path, record(Place("a", "/a")))
    before = path.stat()
    assert len(tidy(path)) == 1
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def write(path: Path, *records: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"refusal": None, "boxes": None},
        {"boxes": [3]},
        {"refusal": {"code": "damaged"}},
        {"refusal": {"advice": "Send it again."}},
        {"refusal": {"code": 3, "message": "", "advice": ""}},
        {"refusal": "damaged"},
        {"probability": "0.5"},
        {"timings_ms": {"read": "fast"}},
        {"provenance": {}},
        {"warnings": [1]},
        {"verdict": None},
    ],
)
def test_a_line_that_was_changed_by_hand_to_what_it_cannot_be_is_none(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "findings.jsonl"
    write(path, record(Place("a", "/a")), {**record(Place("b", "/b")), **change})

    assert [line.place.file for line in lines(path)] == ["a"]
    assert write_tables(tmp_path, path, ("csv", "parquet")).files == 1


@pytest.mark.parametrize("key", sorted(record(Place("a", "/a"))))
def test_a_line_that_lacks_something_stops_nothing(tmp_path: Path, key: str) -> None:
    path = tmp_path / "findings.jsonl"
    whole = record(Place("b", "/b"))
    write(path, record(Place("a", "/a")), {name: whole[name] for name in whole if name != key})

    assert write_tables(tmp_path, path, ("csv", "parquet")).files == len(tidy(path))


def test_a_disk_that_failed_beside_the_work_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[int] = []

    def fail_once(descriptor: int) -> None:
        if not failed:
            failed.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(UlnaError, match="Input/output error"), Journal(tmp_path / "findings.jsonl") as kept:
        monkeypatch.setattr(os, "fsync", fail_once)
        kept.append(record(Place("a", "/a")))
        wait_until(lambda: failed)
