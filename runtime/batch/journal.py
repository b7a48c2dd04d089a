"""findings.jsonl: one line a picture, written once, taken up again after a kill.

A line is handed to the system whole as soon as there is an answer and is on the disk within a second. What a
power cut leaves of the last lines is dropped when the file is opened again; those pictures are read again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.batch.rows import require_row
from runtime.batch.task import Place, place_of
from runtime.durable import sync_folder
from runtime.errors import DiskFullError, UlnaError

NAME = "findings.jsonl"
_SYNC_EVERY_S = 0.5
_NOT_UNDERSTOOD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_HINT = "make room or check the disk, then run the same command again"


@dataclass(frozen=True)
class Line:
    """number: from 0. offset: of its first byte. record: what it holds."""

    number: int
    offset: int
    place: Place
    record: dict[str, Any]


def lines(path: Path) -> Iterator[Line]:
    """The lines that can be understood, in their order; none for a file that is not there."""
    if not path.exists():
        return
    offset = 0
    with path.open("rb") as file:
        for number, text in enumerate(file):
            with contextlib.suppress(*_NOT_UNDERSTOOD):
                record = json.loads(text)
                require_row(record)
                if text.endswith(b"\n"):
                    yield Line(number, offset, place_of(record), record)
            offset += len(text)


def tidy(path: Path, drop: Callable[[dict[str, Any]], bool] | None = None) -> set[bytes]:
    """Keep the last line of every place, none that `drop` wants gone or that cannot be understood.

    Returns the identities of the places kept. The file is replaced whole, and only where that changes it.
    Raises UlnaError.
    """
    last: dict[bytes, tuple[int, bytes] | None] = {}
    for line in lines(path):
        dropped = drop is not None and drop(line.record)
        last[line.place.key] = None if dropped else (line.number, line.place.identity)
    kept = [pair for pair in last.values() if pair is not None]
    with explained(path):
        if len(kept) != _count(path):
            _rewrite(path, {number for number, _ in kept})
    return {identity for _, identity in kept}


def unreadable(path: Path) -> set[bytes]:
    """Identities of the places whose pictures could not be read."""
    return {line.place.identity for line in lines(path) if line.record["refusal"] is not None}


class Journal:
    """The file, open at its end; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with explained(path):
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            sync_folder(path.parent)
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._failed: OSError | None = None
        self._syncer = threading.Thread(target=self._keep_synced, daemon=True)
        self._syncer.start()

    def append(self, record: dict[str, Any]) -> None:
        """Raises DiskFullError where there is no room, UlnaError where the disk fails otherwise."""
        rest = memoryview(json.dumps(record, allow_nan=False).encode("ascii") + b"\n")
        with explained(self._path):
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._unsynced.set()
            if self._failed is not None:
                raise self._failed

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._syncer.join()
        with explained(self._path):
            try:
                os.fsync(self._file)
            finally:
                os.close(self._file)
            if self._failed is not None:  # the system tells it once: the call above did not
                raise self._failed

    def _keep_synced(self) -> None:
        """Beside the work, so that a slow disk does not hold it up."""
        while not self._closing.wait(_SYNC_EVERY_S):
            if self._unsynced.is_set():
                self._unsynced.clear()
                try:
                    os.fsync(self._file)
                except OSError as error:  # told by the next line, or at the end
                    self._failed = error


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _rewrite(path: Path, wanted: set[int]) -> None:
    part = path.with_name(f"{path.name}.part")
    with path.open("rb") as old, part.open("wb") as new:
        new.writelines(text for number, text in enumerate(old) if number in wanted)
        new.flush()
        os.fsync(new.fileno())
    part.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """OSError as DiskFullError where there is no room, as UlnaError otherwise."""
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UlnaError
        raise kind(f"cannot write {path}: {error.strerror}", _HINT) from error
