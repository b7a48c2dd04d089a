"""Is this PNG whole, and what does it declare? A walk over its chunks (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers.header import UPRIGHT, RasterHeader
from runtime.readers.tiff import orientation_of_exif

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_ADVICE = "The file was cut off or damaged on its way. Export or copy it again."
_FRAME_BYTES = 12  # length, type and checksum round each chunk's body


def inspect(data: bytes) -> RasterHeader:
    """Return what IHDR declares.

    Raises UnreadableImageError for a missing chunk or a wrong checksum, UnsupportedImageError for animations.
    """
    header: RasterHeader | None = None
    orientation, pictures = UPRIGHT, 0
    for kind, body in _chunks(data):
        if header is None:
            header = _ihdr(kind, body)
        elif kind == b"IDAT":
            pictures += 1
        elif kind == b"acTL":
            raise UnsupportedImageError("an animated PNG is not read", "Export one image a file.")
        elif kind == b"eXIf":
            orientation = orientation_of_exif(body)
    if header is None or pictures == 0:
        raise UnreadableImageError("the PNG holds no picture", _ADVICE)
    return RasterHeader(header.height_px, header.width_px, header.bits, orientation)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while True:
        if position + _FRAME_BYTES > len(data):
            raise UnreadableImageError("the PNG ends before its picture does", _ADVICE)
        (length,) = struct.unpack_from(">I", data, position)
        end = position + _FRAME_BYTES + length
        if end > len(data):
            raise UnreadableImageError("the PNG ends before its picture does", _ADVICE)
        kind, body = data[position + 4 : position + 8], data[position + 8 : end - 4]
        if zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImageError(f"the PNG is damaged: checksum of chunk {kind!r} is wrong", _ADVICE)
        if kind == b"IEND":
            return
        yield kind, body
        position = end


def _ihdr(kind: bytes, body: bytes) -> RasterHeader:
    if kind != b"IHDR" or len(body) != 13:
        raise UnreadableImageError("the PNG does not begin with its header", _ADVICE)
    width, height, bits = struct.unpack_from(">IIB", body)
    return RasterHeader(height, width, 16 if bits == 16 else 8)
