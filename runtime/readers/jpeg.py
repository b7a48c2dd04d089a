"""Is this JPEG whole, and what does it declare? A walk over its markers (ITU-T T.81, annex B).

Decoders fill what is missing with gray or with the last row, so a cut file has to be recognised before.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers.header import UPRIGHT, RasterHeader
from runtime.readers.tiff import orientation_of_exif

SIGNATURE = b"\xff\xd8\xff"

_EOI, _SOS, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_JPEG_LS_FRAME = 0xF7
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_SEQUENTIAL_FRAMES = {0xC0, 0xC1}
_NEXT_MARKER = re.compile(rb"\xff(?=[^\x00\xff\xd0-\xd7])", re.DOTALL)  # no repeat: linear in any bytes
_FILL = re.compile(rb"\xff*")
_JFIF, _ADOBE = b"JFIF\x00", b"Adobe"
_ADOBE_TRANSFORM, _YCBCR, _LAST_TRANSFORM = 11, 1, 2
_WHOLE_SPECTRUM = bytes((0, 63, 0))
_EXIF = b"Exif\x00\x00"
_MAX_SEGMENTS = 10_000
_MAX_SCANS = 100  # encoders write up to about twenty; each costs the decoder a walk over the whole picture
_CUT = "the JPEG ends before its picture does"
_EXPORT_AS = "Export it again as an ordinary 8-bit JPEG, as PNG or as DICOM."
_ADVICE = "The file was cut off or damaged on its way. Export or copy it again."


class _Segment(NamedTuple):
    """start: of the body in the file."""

    marker: int
    start: int
    body: bytes


def inspect(data: bytes) -> RasterHeader:
    """Return what the frame header declares.

    Raises UnreadableImageError for a file that is cut off or malformed, UnsupportedImageError for JPEG
    processes other than 8-bit Huffman-coded gray or colour.
    """
    frame: RasterHeader | None = None
    orientation, scans = None, 0
    for marker, _, body in _segments(data):
        if marker in _FRAMES:
            if frame is not None:
                raise UnreadableImageError("the JPEG holds two frame headers", _ADVICE)
            frame = _frame(marker, body)
        elif marker == _JPEG_LS_FRAME:
            raise UnsupportedImageError("a JPEG-LS image is not read", _EXPORT_AS)
        elif marker == _SOS:
            scans += 1
            if scans > _MAX_SCANS:
                raise UnreadableImageError(f"the JPEG holds more than {_MAX_SCANS} scans", _ADVICE)
        elif marker == _APP1 and body.startswith(_EXIF) and orientation is None:
            orientation = orientation_of_exif(body[len(_EXIF) :])
    if frame is None or scans == 0:
        raise UnreadableImageError("the JPEG holds no picture", _ADVICE)
    return RasterHeader(frame.height_px, frame.width_px, frame.bits, orientation or UPRIGHT)


def check_whole(data: bytes) -> None:
    """Walk a JPEG of any process but JPEG-LS to its end. Raises UnreadableImageError where it breaks off."""
    for _ in _segments(data):
        pass


def normalised(data: bytes) -> bytes:
    """The same picture, in words that libjpeg finds nothing strange in; `inspect` must have found it whole.

    libjpeg tells its first warning and swallows the others. What it warns of without harm (a JFIF version
    above 1, an unknown colour transform, which it takes for YCbCr, and spectral bounds in a sequential scan,
    which it passes over) would hide that the picture is damaged.
    """
    replaced, sequential = dict[int, bytes](), False
    for segment in _segments(data):
        sequential = segment.marker in _SEQUENTIAL_FRAMES if segment.marker in _FRAMES else sequential
        offset, value = _usual(segment, sequential)
        if value and data[segment.start + offset : segment.start + offset + len(value)] != value:
            replaced[segment.start + offset] = value
    if not replaced:
        return data
    usual = bytearray(data)
    for start, value in replaced.items():
        usual[start : start + len(value)] = value
    return bytes(usual)


def _usual(segment: _Segment, sequential: bool) -> tuple[int, bytes]:
    """Where in the body which bytes must stand; b"" where nothing is prescribed."""
    marker, _, body = segment
    if marker == _APP0 and body.startswith(_JFIF) and len(body) > len(_JFIF):
        return len(_JFIF), b"\x01"
    if marker == _APP14 and body.startswith(_ADOBE) and len(body) > _ADOBE_TRANSFORM:
        return _ADOBE_TRANSFORM, bytes((_YCBCR,)) if body[_ADOBE_TRANSFORM] > _LAST_TRANSFORM else b""
    if marker == _SOS and sequential and body and len(body) == 1 + 2 * body[0] + len(_WHOLE_SPECTRUM):
        return len(body) - len(_WHOLE_SPECTRUM), _WHOLE_SPECTRUM
    return 0, b""


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the first frame header of any JPEG process, None where there is none."""
    try:
        for marker, _, body in _segments(data):
            if marker in _FRAMES or marker == _JPEG_LS_FRAME:
                rows, columns = struct.unpack_from(">HH", body, 1)
                return int(rows), int(columns)
    except (UnreadableImageError, struct.error):
        return None
    return None


def _segments(data: bytes) -> Iterator[_Segment]:
    """Up to the end marker, past entropy-coded data. Raises where the file is cut, or never ends."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker, position = _marker_at(data, position)
        if marker == _EOI:
            return
        if marker in _STANDALONE:
            continue
        if position + 2 > len(data):
            raise UnreadableImageError(_CUT, _ADVICE)
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            raise UnreadableImageError(_CUT, _ADVICE)
        yield _Segment(marker, position + 2, data[position + 2 : position + length])
        position += length
        if marker == _SOS:
            position = _after_scan(data, position)
    raise UnreadableImageError(f"the JPEG holds more than {_MAX_SEGMENTS:,} segments", _ADVICE)


def _marker_at(data: bytes, position: int) -> tuple[int, int]:
    start, fill = position, _FILL.match(data, position)
    position = start if fill is None else fill.end()
    if position >= len(data):
        raise UnreadableImageError(_CUT, _ADVICE)
    if position == start:
        raise UnreadableImageError("the JPEG is damaged: no marker where one belongs", _ADVICE)
    return data[position], position + 1


def _after_scan(data: bytes, position: int) -> int:
    found = _NEXT_MARKER.search(data, position)
    if found is None:
        raise UnreadableImageError(_CUT, _ADVICE)
    return found.start()


def _frame(marker: int, body: bytes) -> RasterHeader:
    if len(body) < 6:
        raise UnreadableImageError("the JPEG's frame header is too short", _ADVICE)
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    if marker not in _HUFFMAN_FRAMES or bits != 8:
        raise UnsupportedImageError(
            f"a JPEG of process {marker - 0xC0} with {bits} bits is not read", _EXPORT_AS
        )
    if components not in (1, 3):
        raise UnsupportedImageError(f"a JPEG with {components} colour components is not read", _EXPORT_AS)
    return RasterHeader(height, width, bits)
