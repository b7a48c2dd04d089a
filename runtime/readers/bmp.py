"""Is this BMP whole, and what does it declare? Its headers (Microsoft, BITMAPINFOHEADER and later)."""

from __future__ import annotations

import struct

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers.header import RasterHeader

SIGNATURE = b"BM"

_PIXELS_AT, _HEADER_AT = 10, 14
_HEADER_BYTES = {40, 52, 56, 108, 124}
_UNCOMPRESSED = 0
_BITS = (8, 24, 32)
_ADVICE = "The file was cut off or damaged on its way. Export or copy it again."
_REEXPORT = "Export it as PNG or DICOM."


def inspect(data: bytes) -> RasterHeader:
    """Return what the header declares.

    Raises UnreadableImageError for a file that ends too early, UnsupportedImageError for compression and for
    pixels of other than 8, 24 or 32 bits.
    """
    try:
        (pixels_at,) = struct.unpack_from("<I", data, _PIXELS_AT)
        size, width, height, planes, bits, compression = struct.unpack_from("<IiiHHI", data, _HEADER_AT)
    except struct.error as error:
        raise UnreadableImageError("the BMP ends before its picture does", _ADVICE) from error
    if size not in _HEADER_BYTES or planes != 1:
        raise UnsupportedImageError(f"a BMP with a header of {size} bytes is not read", _REEXPORT)
    if compression != _UNCOMPRESSED or bits not in _BITS:
        raise UnsupportedImageError(
            f"a BMP of {bits} bits with compression {compression} is not read", _REEXPORT
        )
    row_bytes = (width * bits + 31) // 32 * 4
    if width > 0 and pixels_at + row_bytes * abs(height) > len(data):
        raise UnreadableImageError("the BMP ends before its picture does", _ADVICE)
    return RasterHeader(abs(height), width, 8)
