"""Is this TIFF whole, and what does it declare? A walk over its directory (TIFF 6.0).

`normalised` rewrites two tags (orientation, photometric interpretation), which decoders honour for some bit
depths and ignore for others; the reader then applies them itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers.header import UPRIGHT, RasterHeader

SIGNATURES = (b"II*\x00", b"MM\x00*")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _STRIP_BYTES, _PLANAR = 273, 274, 277, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _SAMPLE_FORMAT = 322, 323, 324, 325, 339
_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
_TABLES = frozenset({_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES})
_SINGLE = frozenset(
    {
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _ORIENTATION,
        _SAMPLES,
        _PLANAR,
        _TILE_WIDTH,
        _TILE_HEIGHT,
        _SAMPLE_FORMAT,
    }
)
_USED = _TABLES | _SINGLE
_MOST_STRIPS, _MOST_SAMPLES = 1 << 18, 16
_NO_COMPRESSION = 1
_COMPRESSIONS = {_NO_COMPRESSION: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_DAMAGED = "The file was cut off or damaged on its way. Export or copy it again."
_REEXPORT = "Export it again as an uncompressed gray TIFF, as PNG or as DICOM."


@dataclass(frozen=True)
class _Tag:
    values: tuple[int, ...]
    value_at: int
    code: str


@dataclass(frozen=True)
class _Directory:
    tags: dict[int, _Tag]
    next_offset: int

    def one(self, tag: int, default: int | None = None) -> int:
        found = self.tags.get(tag)
        if found is not None and found.values:
            return found.values[0]
        if default is None:
            raise UnreadableImageError(f"the TIFF lacks tag {tag}", _DAMAGED)
        return default

    def all(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        found = self.tags.get(tag)
        return default if found is None else found.values


def inspect(data: bytes) -> RasterHeader:
    """Return what the only directory declares.

    Raises UnreadableImageError where something lies outside the file, UnsupportedImageError for several
    pages and for sample formats that are not 8 or 16-bit gray or RGB.
    """
    directory = _first_directory(data)
    _check_kind(directory)
    height, width = directory.one(_HEIGHT), directory.one(_WIDTH)
    bits = directory.one(_BITS, 1)
    _check_extent(directory, len(data))
    photometric = directory.one(_PHOTOMETRIC)
    orientation = directory.one(_ORIENTATION, UPRIGHT)
    return RasterHeader(height, width, bits, orientation, photometric == _WHITE_IS_ZERO)


def normalised(data: bytes) -> bytes:
    """The same file declaring orientation 1 and black is zero, so that stored values come out unchanged."""
    directory = _first_directory(data)
    changed = bytearray(data)
    wanted = {_ORIENTATION: UPRIGHT}
    if directory.one(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        wanted[_PHOTOMETRIC] = _BLACK_IS_ZERO
    for tag, value in wanted.items():
        if tag in directory.tags:
            found = directory.tags[tag]
            struct.pack_into(f"{_byte_order(data)}{found.code}", changed, found.value_at, value)
    return bytes(changed)


def orientation_of_exif(data: bytes) -> int:
    """Orientation (1 to 8) in an EXIF block; 1 where the block says nothing sensible."""
    try:
        value = _first_directory(data, frozenset({_ORIENTATION})).one(_ORIENTATION, UPRIGHT)
    except (UnreadableImageError, UnsupportedImageError):
        return UPRIGHT
    return value if UPRIGHT <= value <= 8 else UPRIGHT


def _first_directory(data: bytes, wanted: frozenset[int] = _USED) -> _Directory:
    """Of each wanted tag the first entry, as libtiff: thousands of others may all point at the whole file."""
    if len(data) < 8 or data[:4] not in SIGNATURES:
        raise UnreadableImageError("the TIFF header is damaged", _DAMAGED)
    order = _byte_order(data)
    try:
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        (next_offset,) = struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)
        tags: dict[int, _Tag] = {}
        for at in range(offset + 2, offset + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(f"{order}H", data, at)
            found = _entry(data, order, at) if tag in wanted and tag not in tags else None
            if found is not None:
                tags[tag] = found
    except struct.error as error:
        raise UnreadableImageError("the TIFF ends before its directory does", _DAMAGED) from error
    return _Directory(tags, next_offset)


def _entry(data: bytes, order: str, at: int) -> _Tag | None:
    """One directory entry, None for the types and sizes that no tag used here has."""
    tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
    if kind not in _TYPES or count > (_MOST_STRIPS if tag in _TABLES else _MOST_SAMPLES):
        return None
    code, size = _TYPES[kind]
    value_at = at + 8
    if count * size > 4:
        (value_at,) = struct.unpack_from(f"{order}I", data, at + 8)
    return _Tag(struct.unpack_from(f"{order}{count}{code}", data, value_at), value_at, code)


def _byte_order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"


def _check_kind(directory: _Directory) -> None:
    samples = directory.one(_SAMPLES, 1)
    bits = set(directory.all(_BITS, (1,)))
    photometric, compression = directory.one(_PHOTOMETRIC), directory.one(_COMPRESSION, _NO_COMPRESSION)
    if directory.next_offset:
        raise UnsupportedImageError("a TIFF with several pages is not read", "Export one image a file.")
    if bits not in ({8}, {16}) or set(directory.all(_SAMPLE_FORMAT, (1,))) != {1}:
        raise UnsupportedImageError("only TIFFs of 8 or 16-bit unsigned integers are read", _REEXPORT)
    gray = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and samples == 1
    if not gray and not (photometric == _RGB and samples in (3, 4)):
        raise UnsupportedImageError(
            f"a TIFF of photometric interpretation {photometric} with {samples} samples is not read",
            _REEXPORT,
        )
    if samples > 1 and directory.one(_PLANAR, 1) != 1:
        raise UnsupportedImageError("a TIFF with a plane a colour is not read", _REEXPORT)
    if compression not in _COMPRESSIONS:
        raise UnsupportedImageError(f"a TIFF with compression {compression} is not read", _REEXPORT)


def _check_extent(directory: _Directory, file_bytes: int) -> None:
    """Every strip or tile inside the file, and enough of them."""
    tiled = _TILE_OFFSETS in directory.tags
    offsets = directory.all(_TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    sizes = directory.all(_TILE_BYTES if tiled else _STRIP_BYTES)
    height, width = directory.one(_HEIGHT), directory.one(_WIDTH)
    if tiled and max(directory.one(_TILE_WIDTH), directory.one(_TILE_HEIGHT)) > 2 * max(height, width, 256):
        raise UnreadableImageError("the TIFF's tiles are larger than its picture", _DAMAGED)
    if not offsets or len(offsets) != len(sizes):
        raise UnreadableImageError("the TIFF does not say where its picture lies", _DAMAGED)
    if any(offset + size > file_bytes or size == 0 for offset, size in zip(offsets, sizes, strict=True)):
        raise UnreadableImageError("the TIFF ends before its picture does", _DAMAGED)
    needed = height * width * directory.one(_SAMPLES, 1) * directory.one(_BITS) // 8
    if directory.one(_COMPRESSION, _NO_COMPRESSION) == _NO_COMPRESSION and sum(sizes) < needed:
        raise UnreadableImageError(
            f"the TIFF declares {needed} bytes of picture and holds {sum(sizes)}", _DAMAGED
        )
