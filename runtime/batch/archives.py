"""The members of a ZIP or tar archive, one after the other, as bytes. Nothing is ever written to the disk.

A member's name is a word to be shown and nothing else. One that is larger than the reader takes, encrypted
or damaged is its own failure; where an archive is cut off, the members before that are kept and the archive
itself is a failure. A ZIP's directory stands at its end: one that is cut off gives nothing.
"""

from __future__ import annotations

import contextlib
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from runtime.batch.unpacking import MOST_HEADER_BYTES, Forward, most_bytes_of, open_forward, require_within
from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.readers.limits import DEFAULT_LIMITS, check_file_size

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ENDINGS = (".zip", *TAR_ENDINGS)
_CHUNK_BYTES = 1 << 20
_COPY = "Copy the archive again, or unpack it and name the folder."
_ENCRYPTED = 0x1
NAMELESS = "?"
"""Of a member whose name is empty: no name at all stands for the archive itself."""


@dataclass(frozen=True, eq=False)
class Member:
    """kind: "file", "link" or "special". read: its bytes; raises InputError. Read it before the next one.

    size_bytes: as the archive says, which `read` never goes beyond.
    """

    name: str
    kind: str
    read: Callable[[], bytes]
    size_bytes: int = 0


def is_archive(path: Path) -> bool:
    """By the ending of its name."""
    return path.name.lower().endswith(ENDINGS)


def lists_quickly(path: Path) -> bool:
    """Whether its members can be counted without unpacking them."""
    return path.name.lower().endswith((".zip", ".tar"))


def members(path: Path) -> Iterator[Member]:
    """All but folders, in the archive's order.

    Raises InputError where the archive cannot be read or ends too early, after the members before that.
    """
    read = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    with _explained("the rest of the archive cannot be read"):
        most_bytes, bytes_so_far = most_bytes_of(path), 0
        for member in read(path):
            # Sparse members, and those of a ZIP that share their bytes, are larger than what holds them.
            bytes_so_far += member.size_bytes if member.size_bytes <= DEFAULT_LIMITS.max_file_bytes else 0
            require_within(bytes_so_far, most_bytes)
            yield member if member.name else replace(member, name=NAMELESS, read=_refuse_nameless)


def _refuse_nameless() -> bytes:
    raise UnreadableImageError("it has no name in the archive", "Unpack the archive and name the folder.")


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith("/"):  # is_dir() fails for a name that is empty
                kind = "link" if stat.S_ISLNK(info.external_attr >> 16) else "file"
                yield Member(info.filename, kind, partial(_unzip, archive, info), info.file_size)


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & _ENCRYPTED:
        raise UnsupportedImageError("it is encrypted", "Unpack the archive and name the folder.")
    check_file_size(info.file_size, DEFAULT_LIMITS)
    with _explained("it cannot be unpacked"), archive.open(info) as stream:
        # No more than the directory declares, or than the reader takes.
        return stream.read(DEFAULT_LIMITS.max_file_bytes + 1)


def _tar_members(path: Path) -> Iterator[Member]:
    with path.open("rb") as file:
        stream = open_forward(path, file)
        with stream.header():  # it reads the first one at once
            archive = tarfile.TarFile(fileobj=stream, mode="r", tarinfo=_Header)  # type: ignore[arg-type]
        while (info := _next(archive, stream)) is not None:
            if info.isfile():
                yield Member(info.name, "file", partial(_untar, archive, info), info.size)
            elif not info.isdir():
                kind = "link" if info.issym() or info.islnk() else "special"
                yield Member(info.name, kind, bytes)
        _require_end(stream)


def _next(archive: tarfile.TarFile, stream: Forward) -> tarfile.TarInfo | None:
    with stream.header():
        info = archive.next()
    archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them
    if sum(len(key) + len(value) for key, value in archive.pax_headers.items()) > MOST_HEADER_BYTES:
        raise UnreadableImageError("the headers claim more than any have", _COPY)
    return info


def _untar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    check_file_size(info.size, DEFAULT_LIMITS)
    with _explained("it cannot be unpacked"):
        stream = archive.extractfile(info)
        assert stream is not None
        data = stream.read(info.size)
        if len(data) != info.size:
            raise EOFError(f"it has {info.size} bytes, {len(data)} of them are there")
        return data


class _Header(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the archive; here it is damage."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:  # the name that tarfile gives it
        try:
            header = super().fromtarfile(tarfile)
        except _END_MARK:
            raise
        except _DAMAGE as error:
            raise UnreadableImageError(f"the archive is damaged or cut off: {error}", _COPY) from error
        if header.size < 0:
            raise UnreadableImageError(f"a member claims {header.size} bytes", _COPY)
        return header


_END_MARK: type[Exception] = tarfile.EOFHeaderError  # type: ignore[attr-defined]
_DAMAGE: type[Exception] = tarfile.HeaderError


def _require_end(stream: Forward) -> None:
    """Behind the end mark lies padding; anything else is an archive behind an archive."""
    while chunk := stream.read(_CHUNK_BYTES):
        if chunk.strip(b"\0"):
            raise UnsupportedImageError(
                "there is more behind the end of the archive", "Unpack it yourself and name the folder."
            )


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Whatever unpacking raises, as an InputError. zlib, bz2, lzma, zipfile and tarfile share no base."""
    try:
        yield
    except InputError:
        raise
    except NotImplementedError as error:
        raise UnsupportedImageError(f"{what}: {error}", _COPY) from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(f"{what}: {reason}", _COPY) from error
