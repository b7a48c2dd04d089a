"""Is this WebP whole, and what does it declare? A walk over its chunks (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers.header import UPRIGHT, RasterHeader
from runtime.readers.tiff import orientation_of_exif

SIGNATURE, KIND, KIND_AT = b"RIFF", b"WEBP", 8

_FIRST_CHUNK_AT = 12
_ANIMATED = 0x02
_FRAME_TAG, _START_CODE = 3, b"\x9d\x01\x2a"
_LOSSLESS_SIGNATURE = 0x2F
_EXIF_MARK = b"Exif\x00\x00"
_ADVICE = "The file was cut off or damaged on its way. Export or copy it again."


def inspect(data: bytes) -> RasterHeader:
    """Return what the picture's own frame declares, and the orientation of an EXIF chunk.

    Raises UnreadableImageError for a file that ends too early or holds no picture, UnsupportedImageError for
    animations.
    """
    size: tuple[int, int] | None = None
    orientation = UPRIGHT
    for kind, body in _chunks(data):
        if kind == b"VP8X" and body[:1] and body[0] & _ANIMATED:
            raise UnsupportedImageError("an animated WebP is not read", "Export one image a file.")
        if kind in (b"VP8 ", b"VP8L") and size is None:
            size = _lossy_size(body) if kind == b"VP8 " else _lossless_size(body)
        if kind == b"EXIF":
            orientation = orientation_of_exif(body.removeprefix(_EXIF_MARK))
    if size is None:
        raise UnreadableImageError("the WebP holds no picture", _ADVICE)
    height, width = size
    return RasterHeader(height, width, 8, orientation)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    try:
        (length,) = struct.unpack_from("<I", data, 4)
        end = 8 + length
        if end > len(data):
            raise UnreadableImageError("the WebP ends before its picture does", _ADVICE)
        position = _FIRST_CHUNK_AT
        while position < end:
            (length,) = struct.unpack_from("<I", data, position + 4)
            body_at = position + 8
            if body_at + length > end:
                raise UnreadableImageError("the WebP ends before its picture does", _ADVICE)
            yield data[position : position + 4], data[body_at : body_at + length]
            position = body_at + length + length % 2
    except struct.error as error:
        raise UnreadableImageError("the WebP is damaged: a chunk has no length", _ADVICE) from error


def _lossy_size(body: bytes) -> tuple[int, int]:
    """(height, width) of a VP8 key frame (RFC 6386, 9.1)."""
    if body[_FRAME_TAG : _FRAME_TAG + 3] != _START_CODE or len(body) < 10:
        raise UnreadableImageError("the WebP's frame header is damaged", _ADVICE)
    width, height = struct.unpack_from("<HH", body, 6)
    return height & 0x3FFF, width & 0x3FFF


def _lossless_size(body: bytes) -> tuple[int, int]:
    if len(body) < 5 or body[0] != _LOSSLESS_SIGNATURE:
        raise UnreadableImageError("the WebP's frame header is damaged", _ADVICE)
    (packed,) = struct.unpack_from("<I", body, 1)
    return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
