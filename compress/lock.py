"""One process a step: two that worked in the same folder would take each other's files away."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import StepError

_FILE_MODE = 0o600
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Of file systems that know no locks, as some over a network: steps are made there all the same."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold `NAME.lock` beside the folder; the kernel frees it when the process dies, however it dies.

    Raises StepError where another process holds it, OSError where nothing can be written there.
    """
    handle = _taken(folder)
    try:
        yield
    finally:
        # Still held: nobody can have taken the file that goes away here.
        _lock_of(folder).unlink(missing_ok=True)
        os.close(handle)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _taken(folder: Path) -> int:
    """A descriptor that holds the lock."""
    path = _lock_of(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            _lock(handle, folder)
        except BaseException:
            os.close(handle)
            raise
        if _is_still(handle, path):
            return handle
        os.close(handle)  # whoever held it before took the file away: the next one is a new file


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StepError(
            f"another process is working on {folder}",
            "wait until it has finished, then run again: what it has made is taken over; "
            "or choose another folder for --out",
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
