"""A stream that is read forward once and never beyond what it may unpack to."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from runtime.errors import UnreadableImageError, UnsupportedImageError

_CHUNK_BYTES = 1 << 20
_GIB = 1 << 30
MOST_EXPANSION = 200
"""An archive may unpack to this many times its size, and to 1 GiB in any case: radiographs shrink
to a tenth, black pictures to a hundredth."""
MOST_HEADER_BYTES = 1 << 20
"""Of all that describes one member."""
_XZ_MEMORY_BYTES = 256 << 20
_XZ_READ_BYTES = 64 << 10


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Forward:
    """What tarfile needs of a file, without a way back.

    skip: moves the stream on without reading, where it can. Reading raises UnsupportedImageError beyond
    `most_bytes`, and whatever the stream itself raises.
    """

    def __init__(
        self, raw: _Readable, most_bytes: int | None = None, skip: Callable[[int], int] | None = None
    ) -> None:
        self._raw = raw
        self._most_bytes = most_bytes
        self._skip = skip
        self._at = 0
        self._header_left: int | None = None

    def tell(self) -> int:
        """Bytes from the start."""
        return self._at

    def seekable(self) -> bool:
        """As io.BufferedReader asks; forward only."""
        return True

    @contextlib.contextmanager
    def header(self) -> Iterator[None]:
        """Within it no more is read than describes a member: tarfile believes what a header says."""
        self._header_left = MOST_HEADER_BYTES
        try:
            yield
        finally:
            self._header_left = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        if self._header_left is not None:
            if not 0 <= size <= self._header_left:
                raise UnreadableImageError("a header claims more than any has", "Make the archive again.")
            self._header_left -= size
        return self._take(size)

    def seek(self, offset: int) -> int:
        """Move on. Raises UnreadableImageError for a way back, which only a damaged archive asks for."""
        if offset < self._at:
            raise UnreadableImageError("the archive's own list leads back", "Make the archive again.")
        if self._skip is not None:
            self._at = self._skip(offset)
        while self._at < offset and self._take(min(_CHUNK_BYTES, offset - self._at)):
            pass
        return self._at

    def _take(self, size: int) -> bytes:
        data = self._raw.read(size)
        self._at += len(data)
        if self._most_bytes is not None:
            require_within(self._at, self._most_bytes)
        return data


def most_bytes_of(path: Path) -> int:
    """That an archive may unpack to. Raises OSError."""
    return max(_GIB, MOST_EXPANSION * path.stat().st_size)


def require_within(unpacked_bytes: int, most_bytes: int) -> None:
    """Raises UnsupportedImageError."""
    if unpacked_bytes > most_bytes:
        raise UnsupportedImageError(
            f"the archive unpacks to more than {most_bytes // _GIB} GiB",
            "Unpack it yourself, look at what it holds and name the folder.",
        )


def open_forward(path: Path, file: BinaryIO) -> Forward:
    """The unpacked stream of a tar archive, by the ending of its name. Raises OSError."""
    name = path.name.lower()
    most_bytes = most_bytes_of(path)
    if name.endswith((".gz", ".tgz")):
        return Forward(cast(_Readable, gzip.GzipFile(fileobj=file)), most_bytes)
    if name.endswith((".bz2", ".tbz2")):
        return Forward(bz2.BZ2File(file), most_bytes)
    if name.endswith((".xz", ".txz")):
        return Forward(io.BufferedReader(_Xz(file)), most_bytes)
    return Forward(file, skip=file.seek)


class _Xz(io.RawIOBase):
    """lzma.LZMAFile, but a stream that asks for gigabytes of dictionary is refused (lzma.LZMAError)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor = self._fresh()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data or self._file.read(_XZ_READ_BYTES)
                if not rest.strip(b"\0"):  # the padding between streams, or nothing
                    return 0
                self._decompressor = self._fresh()
                data = self._decompressor.decompress(rest, len(buffer))
                continue
            fresh = self._file.read(_XZ_READ_BYTES) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not fresh:
                raise EOFError("the compressed stream ends before its end mark")
            data = self._decompressor.decompress(fresh, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
