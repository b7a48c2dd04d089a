"""The folder of answers: written whole, left alone where nothing changes, every refusal of a disk told."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.batch.folder import DERIVED, RUN_NAME, Basis, basis_of, begin, locked
from runtime.errors import UlnaError
from tests.runtime.batch.kit import ROOT

BASIS = Basis("0" * 64, "brightness 1.2.3", "onnxruntime-fp32")

BEGIN_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from runtime.batch.folder import Basis, begin
from runtime.errors import UlnaError
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    begin(Path(sys.argv[1]), Basis("0" * 64, "another", "onnxruntime-fp32"))
except UlnaError as error:
    print(error)
"""


def test_what_the_answers_rest_on_is_written_once(tmp_path: Path) -> None:
    begin(tmp_path, BASIS)
    before = (tmp_path / RUN_NAME).stat()
    (tmp_path / DERIVED[0]).write_text("of an earlier run")
    begin(tmp_path, BASIS)

    after = (tmp_path / RUN_NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert basis_of(tmp_path) == BASIS
    assert [item.name for item in tmp_path.iterdir()] == [RUN_NAME]


def test_a_disk_that_takes_no_more_is_told_and_keeps_what_stood_there(tmp_path: Path) -> None:
    begin(tmp_path, BASIS)
    command = [sys.executable, "-c", BEGIN_ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith(f"cannot write {tmp_path / RUN_NAME}: ")
    assert basis_of(tmp_path) == BASIS


def test_what_it_says_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UlnaError, match="Input/output error"):
        begin(tmp_path, BASIS)
    assert not (tmp_path / RUN_NAME).exists()


def test_a_place_where_no_folder_can_be_made_is_told() -> None:
    with pytest.raises(UlnaError, match="cannot write"), locked(Path("/proc/answers")):
        pass


def test_a_disk_that_knows_no_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UlnaError, match="No locks available"), locked(tmp_path):
        pass
