"""DICOM pixel data -> stored values (DICOM PS3.3 C.7.6.3, PS3.5 8), by the decoder that is named here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.readers import gdcm_codec, jpeg, jpeg2000, raster
from runtime.readers.dicom_facts import integer
from runtime.readers.dicom_gray import Depth, Plane, bone_bright
from runtime.readers.gdcm_codec import Request

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", _BIG_ENDIAN)
RLE = "1.2.840.10008.1.2.5"
_JPEG_BASELINE, _JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_END_OF_IMAGE = b"\xff\xd9"  # the same in JPEG, JPEG-LS and JPEG 2000
_TAIL_BYTES = 10  # frames are padded to even length, by some writers with more than one byte
_MAX_EXPANSION = 2  # no codec makes a radiograph larger than this
_SLACK_BYTES = 1 << 16
_OVERLAY_GROUPS, _OVERLAY_BIT_POSITION, _OVERLAY_DATA = range(0x6000, 0x6020, 2), 0x0102, 0x3000
_DAMAGED = "The file was cut off or damaged on its way. Send it again from the X-ray system."


@dataclass(frozen=True)
class _Layout:
    """below: bits under the lowest of a pixel's own."""

    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool
    below: int

    @property
    def native_bytes(self) -> int:
        return self.rows * self.columns * self.allocated // 8


def read_plane(dataset: Dataset, syntax: str, in_place: memoryview | None = None) -> Plane:
    """Decode and orient the gray scale. in_place: the bytes of pixels that the data set does not hold.

    Raises UnreadableImageError for pixel data that does not match what is declared, UnsupportedImageError
    for bit depths and codecs that are not read; the libraries' own exceptions pass through.
    """
    if in_place is None and not dataset.PixelData:
        raise UnreadableImageError(
            "the DICOM file's pixel data is empty (0 bytes)", "Send the image object itself."
        )
    layout = _layout(dataset)
    if syntax in NATIVE:
        given = memoryview(dataset.PixelData) if in_place is None else in_place
        _check_native(len(given), layout)
        stored = _native(given, syntax, layout, _drawn_bits(dataset, layout))
    else:
        stored = _decode(dataset, syntax, layout, _checked_frame(dataset, syntax, layout))
    if stored.shape != (layout.rows, layout.columns):
        raise UnreadableImageError(
            f"the DICOM file declares {layout.rows} rows x {layout.columns} columns, got {stored.shape}",
            _DAMAGED,
        )
    depth = Depth(layout.stored, layout.signed, syntax != _BIG_ENDIAN)
    return bone_bright(dataset, np.asarray(stored), depth)


def _layout(dataset: Dataset) -> _Layout:
    allocated = integer(dataset, "BitsAllocated", 0)
    stored, high = integer(dataset, "BitsStored", allocated), integer(dataset, "HighBit", -1)
    if allocated not in (8, 16):
        raise UnsupportedImageError(
            f"{allocated} bits a pixel are not read, 8 and 16 are", "Send the gray image."
        )
    if not 1 <= stored <= allocated or (high != -1 and not stored - 1 <= high < allocated):
        raise UnreadableImageError(
            f"the DICOM file contradicts itself: {stored} bits stored in {allocated}, high bit {high}",
            _DAMAGED,
        )
    return _Layout(
        below=0 if high == -1 else high + 1 - stored,
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        allocated=allocated,
        stored=stored,
        signed=integer(dataset, "PixelRepresentation", 0) == 1,
    )


def _check_native(held: int, layout: _Layout) -> None:
    """As many bytes as declared. A whole row too many means that the declared size is wrong."""
    one_row = layout.native_bytes // layout.rows
    if not layout.native_bytes <= held < layout.native_bytes + max(one_row, 2):
        raise UnreadableImageError(
            f"the DICOM file declares {layout.native_bytes} bytes of pixel data and holds {held}", _DAMAGED
        )


def _checked_frame(dataset: Dataset, syntax: str, layout: _Layout) -> bytes:
    """The one complete frame, whose own header declares what the data set declares."""
    from pydicom.encaps import get_frame

    if layout.below:
        raise UnsupportedImageError(
            f"compressed DICOM pixels that begin at bit {layout.below} are not read",
            "Export it uncompressed (Explicit VR Little Endian).",
        )
    if len(dataset.PixelData) > _MAX_EXPANSION * layout.native_bytes + _SLACK_BYTES:
        raise UnreadableImageError(
            "the compressed pixel data is larger than the picture it declares", _DAMAGED
        )
    frame: bytes = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == RLE:
        return frame
    size = _size_of(frame, syntax)
    if syntax == _JPEG_EXTENDED and layout.stored > 8:
        raise UnsupportedImageError(
            f"lossy JPEG of {layout.stored} bits is not read",
            "Export it uncompressed, as JPEG lossless or as JPEG 2000.",
        )
    if size != (layout.rows, layout.columns):
        raise UnreadableImageError(
            f"the compressed picture declares {size} rows and columns, the data set "
            f"{(layout.rows, layout.columns)}",
            _DAMAGED,
        )
    if _END_OF_IMAGE not in frame[-_TAIL_BYTES:]:
        raise UnreadableImageError("the compressed picture ends early", _DAMAGED)
    if syntax in _JPEG_LOSSLESS:
        jpeg.check_whole(frame)
    return frame


def _size_of(frame: bytes, syntax: str) -> tuple[int, int] | None:
    """(rows, columns) that the compressed picture declares itself."""
    if syntax not in _JPEG_2000:
        return jpeg.declared_size(frame)
    found = jpeg2000.declared(frame)
    return None if found is None else (found.rows, found.columns)


def _decode(dataset: Dataset, syntax: str, layout: _Layout, frame: bytes) -> NDArray[np.integer[Any]]:
    """Stored values (H, W) by the decoder that is named here, not by whichever happens to be installed."""
    from pydicom.pixels import pixel_array

    if syntax in (_JPEG_BASELINE, _JPEG_EXTENDED):
        # Not GDCM: it ends the whole process on some damaged baseline files.
        jpeg.inspect(frame)
        return raster.decode(frame, "jpeg")
    if syntax == RLE:
        return np.asarray(pixel_array(dataset, raw=True, decoding_plugin="pydicom"))
    values = _jpeg_2000(frame) if syntax in _JPEG_2000 else None
    if values is None:
        _require_gdcm()
        request = Request(
            syntax, layout.rows, layout.columns, layout.allocated, layout.stored, int(layout.signed)
        )
        values = gdcm_codec.decode(request, frame)
    # JPEG-LS knows no signed values, and a codestream need not say so: what comes out are their low bits.
    return _signed(values, layout) if layout.signed else values


def _jpeg_2000(frame: bytes) -> NDArray[np.integer[Any]] | None:
    """None for what only GDCM may be able to decode."""
    found = jpeg2000.declared(frame)
    return None if found is None or found.signed else jpeg2000.decode(frame)


def _native(given: memoryview, syntax: str, layout: _Layout, drawn: int) -> NDArray[np.integer[Any]]:
    """The values as they are, a view where that is possible: pydicom would drop what a file holds above the
    bits it declares. drawn: bits of which somebody else's drawing is made.
    """
    count = layout.rows * layout.columns
    if layout.allocated == 8:
        values = np.frombuffer(given, np.uint8)
        if syntax == _BIG_ENDIAN:  # the bytes of a word change places
            values = values[: len(values) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
    else:
        values = np.frombuffer(given, ">u2" if syntax == _BIG_ENDIAN else "<u2", count).astype(
            np.uint16, copy=False
        )
    plane = values[:count].reshape(layout.rows, layout.columns)
    if drawn:
        plane = plane & plane.dtype.type((1 << layout.allocated) - 1 - drawn)
    if layout.below:
        plane = _lowered(plane, layout)
    if not layout.signed:
        return plane
    whole = int(plane.max()) < 1 << layout.stored
    return _signed(plane if whole else plane.view(_signed_kind(layout)), layout)


def _lowered(plane: NDArray[Any], layout: _Layout) -> NDArray[Any]:
    """Old systems put a pixel into the upper bits of its word (PS3.5 1993, 8.1.1). Nothing may lie below it:
    then the header is wrong, and details would be cut away.
    """
    if (plane & plane.dtype.type((1 << layout.below) - 1)).any():
        raise UnreadableImageError(
            f"the DICOM file contradicts itself: pixels begin at bit {layout.below} and hold lower ones",
            _DAMAGED,
        )
    signed: NDArray[Any] = plane.view(_signed_kind(layout)) if layout.signed else plane
    lowered: NDArray[Any] = signed >> signed.dtype.type(layout.below)
    return lowered.view(plane.dtype)


def _signed_kind(layout: _Layout) -> type[np.int8] | type[np.int16]:
    return np.int8 if layout.allocated == 8 else np.int16


def _signed(values: NDArray[np.integer[Any]], layout: _Layout) -> NDArray[np.integer[Any]]:
    """Carry the sign upwards where negative values stop at the stored bits."""
    wide = values.astype(np.int32)
    if int(wide.min()) < 0 or int(wide.max()) >= 1 << layout.stored:
        return values
    sign = 1 << (layout.stored - 1)
    return np.asarray((wide ^ sign) - sign)


def _drawn_bits(dataset: Dataset, layout: _Layout) -> int:
    """Bits beside the pixel's own into which old CR systems drew (PS3.5 1993, 8.1.2; OverlayBitPosition).

    All of those above the pixel where one is; below it the very ones that are named: an overlay in an element
    of its own names bit 0 too, and what else lies there must be found (see `_lowered`).
    """
    top, bits = layout.below + layout.stored, 0
    for group in (one for one in _OVERLAY_GROUPS if (one, _OVERLAY_BIT_POSITION) in dataset):
        position = dataset[group, _OVERLAY_BIT_POSITION].value
        if not isinstance(position, int):
            continue
        if position >= top:
            bits |= (1 << layout.allocated) - (1 << top)
        elif 0 <= position < layout.below and (group, _OVERLAY_DATA) not in dataset:
            bits |= 1 << position
    return bits


def _require_gdcm() -> None:
    if importlib.util.find_spec("gdcm") is None:
        raise UnsupportedImageError(
            "compressed DICOM images need python-gdcm, which is not installed",
            'run pip install "ulna[dicom]"',
        )
