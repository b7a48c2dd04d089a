"""A lock that processes hold on a file; the system frees it when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.1


@contextmanager
def held(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock `path`, made where there is none. Raises TimeoutError where another keeps it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        until = time.monotonic() + timeout_s
        while not _take(descriptor):
            if time.monotonic() >= until:
                raise TimeoutError(f"{path} has been locked for over {timeout_s:g} s")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
