"""What image libraries write to stderr while they decode, caught instead of shown.

libjpeg and libtiff, as OpenCV builds them, report a damaged picture on file descriptor 2 only and return an
image all the same, the missing part filled in. So what they write is evidence that must be read, and it has
no business on a nurse's terminal either.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import IO

import cv2

_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression", "TIFF_Error")
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_PADDING_BYTES = 4  # more left over at the end than this: decoding went astray on the way

_log = logging.getLogger("ulna.readers")
_lock = threading.Lock()
_STDERR = 2
_LOG_LEVEL_ERROR = 2  # cv2.utils.logging.LOG_LEVEL_ERROR; below it libtiff's errors would be silent


@contextlib.contextmanager
def caught() -> Iterator[list[str]]:
    """Collect the lines written to file descriptor 2 until the block ends; they also go to the debug log.

    The descriptor belongs to the whole process, so one block runs at a time.
    """
    lines: list[str] = []
    with _lock, _sink() as sink:
        level = cv2.utils.logging.setLogLevel(_LOG_LEVEL_ERROR)
        kept = _duplicate(_STDERR)
        os.dup2(sink.fileno(), _STDERR)
        try:
            yield lines
        finally:
            _restore(kept)
            cv2.utils.logging.setLogLevel(level)
            sink.seek(0)
            lines += sink.read().decode("utf-8", "replace").splitlines()
    for line in lines:
        _log.debug("decoder: %s", line)


def damage(lines: Iterable[str]) -> str | None:
    """The first line that says that a picture came out damaged, None where none does."""
    return next((line for line in lines if _tells_damage(line)), None)


def _tells_damage(line: str) -> bool:
    left_over = _LEFT_OVER.search(line)
    if left_over is not None:
        return int(left_over[1]) > _PADDING_BYTES
    return any(sign in line for sign in _DAMAGE)


def _sink() -> IO[bytes]:
    """In memory where the system can: on a full disk the words would be lost, and with them the damage."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("ulna-complaints"), "w+b")
    return tempfile.TemporaryFile()


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # a service may run without stderr
        return None


def _restore(kept: int | None) -> None:
    if kept is None:
        os.close(_STDERR)
        return
    os.dup2(kept, _STDERR)
    os.close(kept)
