"""A file or its bytes -> Radiograph. Bytes are parsed and decoded in a process that has nothing to lose."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import InputError, UnreadableImageError
from runtime.radiograph import FileSays, Radiograph
from runtime.readers import guarded
from runtime.readers.guarded import Listener
from runtime.readers.limits import DEFAULT_LIMITS, HEADER_LIMITS, ReadLimits, check_file_size

__all__ = ["ReadLimits", "load", "read_bytes", "read_file", "read_header"]


def read_bytes(
    data: bytes, name: str = "", limits: ReadLimits = DEFAULT_LIMITS, listener: Listener | None = None
) -> Radiograph:
    """Read one image from memory; `name` only opens the error message.

    listener: is told what the header says of whose picture it is while that is decoded, whether it can be or
    not; not where the reading process does not get so far. What it raises ends the reading.

    Raises UnreadableImageError for damaged bytes, for no image at all and for what takes too much time or
    memory to read, UnsupportedImageError for a sound file of a kind that is not read.
    """
    with _named(name):
        check_file_size(len(data), limits)
        return guarded.read(data, limits, listener)


def read_header(data: bytes, limits: ReadLimits = HEADER_LIMITS) -> FileSays | None:
    """What a DICOM header says of whose picture it is, without decoding that; nothing of another file or of a
    header that is damaged, None where the reading process does not get so far.

    Raises ReaderUnavailableError.
    """
    return guarded.header(data, limits)


def read_file(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Radiograph:
    """Read one image from a file. Raises as `read_bytes` does, and for a path that is no readable file."""
    with _named(path.name):
        return read_bytes(load(path, limits), limits=limits)


def load(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a regular file. Raises UnreadableImageError for a folder, no file, a forbidden file."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not an ordinary file"
            raise UnreadableImageError(f"this is {kind}", "Name one or more image files.")
        check_file_size(facts.st_size, limits)
        with path.open("rb") as file:
            return file.read(limits.max_file_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableImageError(
            f"the file cannot be opened: {reason}", "Check the path and who may read it."
        ) from error


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Open the message of an InputError with a file's name, where there is one."""
    try:
        yield
    except InputError as error:
        if not name:
            raise
        raise type(error)(f"{name}: {error}", error.hint) from error
