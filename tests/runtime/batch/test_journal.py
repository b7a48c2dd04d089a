"""A disk that takes no more, in a process whose files may not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runtime.batch.journal import lines, tidy
from tests.runtime.batch.kit import ROOT

APPEND_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from runtime.batch.journal import Journal
from runtime.batch.task import Place
from runtime.errors import UlnaError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
written = 0
try:
    with Journal(Path(sys.argv[1])) as journal:
        while True:
            place = Place(str(written), "/" + str(written))
            journal.append({**place.to_json(), "verdict": "unreadable"})
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
    assert path.stat().st_size == 5000  # the last line is torn
    assert len(tidy(path)) == len(list(lines(path))) == int(written) > 10
    assert path.read_bytes().endswith(b"}\n")


def test_a_file_in_order_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    assert tidy(path) == set()
    assert not path.exists()
    path.write_bytes(
        b'{"file": "a", "path": "/a", "member": "", "occurrence": 1, "size_bytes": 1, "mtime_ns": 2, '
        b'"verdict": "none"}\n'
    )
    before = path.stat()
    assert len(tidy(path)) == 1
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
