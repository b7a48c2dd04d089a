"""A file or its bytes -> Radiograph. What a file is, its content says; its name is never asked."""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.radiograph import Radiograph
from runtime.readers import raster
from runtime.readers.limits import DEFAULT_LIMITS, ReadLimits, check_file_size

__all__ = ["ReadLimits", "load", "read_bytes", "read_file"]

_DICOM_PREFIX_AT, _DICOM_PREFIX = 128, b"DICM"
_SAVE_AS = "Export it as JPEG, PNG, TIFF or DICOM."
_OTHERS = (
    (b"%PDF", 0, "a PDF document"),
    (b"GIF8", 0, "a GIF image"),
    (b"BM", 0, "a BMP image"),
    (b"WEBP", 8, "a WebP image"),
    (b"ftyphei", 4, "a HEIC image"),
    (b"ftypmif1", 4, "a HEIC image"),
    (b"ftypavif", 4, "an AVIF image"),
    (b"PK\x03\x04", 0, "a ZIP archive"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"\x00\x00\x00\x0cjP  ", 0, "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", 0, "a JPEG 2000 image"),
    (b"II+\x00", 0, "a BigTIFF image"),
    (b"MM\x00+", 0, "a BigTIFF image"),
)


def read_bytes(data: bytes, name: str = "", limits: ReadLimits = DEFAULT_LIMITS) -> Radiograph:
    """Read one image from memory; `name` only opens the error message.

    Raises UnreadableImageError for damaged bytes and for no image at all, UnsupportedImageError for a sound
    file of a kind that is not read.
    """
    with _named(name):
        return _read(data, limits)


def read_file(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Radiograph:
    """Read one image from a file. Raises as `read_bytes` does, and for a path that is no readable file."""
    with _named(path.name):
        return _read(load(path, limits), limits)


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


def _read(data: bytes, limits: ReadLimits) -> Radiograph:
    check_file_size(len(data), limits)
    sha256 = hashlib.sha256(data).hexdigest()
    # DICOM first: its 128 free bytes may hold a TIFF header for other software.
    if data[_DICOM_PREFIX_AT : _DICOM_PREFIX_AT + len(_DICOM_PREFIX)] == _DICOM_PREFIX:
        from runtime.readers import dicom

        return dicom.read(data, sha256, limits)
    kind = raster.detect_format(data)
    if kind is not None:
        return raster.read(data, sha256, kind, limits)
    for signature, at, words in _OTHERS:
        if data[at : at + len(signature)] == signature:
            raise UnsupportedImageError(f"{words} is not read", _SAVE_AS)
    raise UnreadableImageError("the file is no image that Ulna knows", _SAVE_AS)
