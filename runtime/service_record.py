"""Which engines are out of service on this machine, and why, known across processes.

A folder with two files. `retired.jsonl` has a line for every engine that was taken out of service. `at-work`
names the engine that computes right now; who finds it so, with nobody holding the file, knows that the
process which computed has ended in the middle. After a new start of the machine that says nothing (the
power may have failed), and all engines are judged anew by their self-test.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime import strict
from runtime.durable import replace_file
from runtime.errors import BundleFormatError
from runtime.machine import boot_id

_RETIRED, _AT_WORK = "retired.jsonl", "at-work"
_KEPT_LINES = 500
_MARK_BYTES = 256


@dataclass(frozen=True)
class Retirement:
    """One engine of one bundle, taken out of service until the machine starts again. reason: in words."""

    key: str
    reason: str
    utc: str
    boot: str
    bundle_sha256: str


class ServiceRecord:
    """The record of one bundle's engines in a folder, which is made where it is missing.

    Of several processes with the same folder only the first one's death is noticed. Raises OSError.
    """

    def __init__(self, folder: Path, bundle_sha256: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _RETIRED
        self._bundle_sha256, self._boot = bundle_sha256, boot_id()
        self._marked = ""
        self._mark = os.open(folder / _AT_WORK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._watches = False
        with contextlib.suppress(OSError):  # BlockingIOError for a lock that another holds
            fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._watches = True
            self._note_a_death()

    def retired(self) -> tuple[Retirement, ...]:
        """Those of this bundle since the machine was started, oldest first."""
        mine = (self._boot, self._bundle_sha256)
        return tuple(one for one in self.history() if (one.boot, one.bundle_sha256) == mine)

    def history(self) -> tuple[Retirement, ...]:
        """All that is kept, oldest first; lines that cannot be read are left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        return tuple(one for one in map(_parsed, lines) if one is not None)

    def retire(self, key: str, reason: str) -> None:
        """Write it down, on the disk before it gets its name. Once a boot is enough. Raises OSError."""
        if any(one.key == key for one in self.retired()):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = [*self.history(), Retirement(key, reason, now, self._boot, self._bundle_sha256)]
        lines = [json.dumps(asdict(one)) + "\n" for one in kept[-_KEPT_LINES:]]
        replace_file(self._path, "".join(lines).encode())

    @contextlib.contextmanager
    def at_work(self, key: str) -> Iterator[None]:
        """While the engine computes: should the process end within, the next one knows."""
        self._set(key)
        try:
            yield
        finally:
            if self._marked == key:  # an engine that hung and came back has been replaced by now
                self._set("")

    def close(self) -> None:
        """Let another process watch over the folder."""
        os.close(self._mark)

    def _set(self, key: str) -> None:
        self._marked = key
        mark = f"{self._boot} {self._bundle_sha256} {key}" if key else ""
        if self._watches:
            with contextlib.suppress(OSError):  # a disk in trouble must not cost the answer
                os.pwrite(self._mark, mark.encode().ljust(_MARK_BYTES), 0)

    def _note_a_death(self) -> None:
        words = os.pread(self._mark, _MARK_BYTES, 0).decode("ascii", "replace").split()
        self._set("")
        if len(words) == 3 and words[:2] == [self._boot, self._bundle_sha256]:
            self.retire(words[2], "the process ended while it computed")


def _parsed(line: bytes) -> Retirement | None:
    try:
        return strict.build(Retirement, strict.loads(line, "line"), "line")
    except BundleFormatError:
        return None
