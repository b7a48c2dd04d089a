"""A DICOM file -> Radiograph: projection radiographs of one frame, read by pydicom and python-gdcm.

Both come with the extra `dicom` and are imported on demand. The order of checks is fixed: transfer syntax
(before anything is inflated), kind of object, declared size, then pixels.
"""

from __future__ import annotations

import mmap
import re
import struct
import warnings
import zlib
from dataclasses import replace
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING

from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.radiograph import PROJECTIONS, Radiograph
from runtime.readers.dicom_facts import acquisition_facts, integer, notices, text
from runtime.readers.dicom_pixels import NATIVE, RLE, read_plane
from runtime.readers.limits import DEFAULT_LIMITS, ReadLimits, check_dimensions

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MODALITIES = tuple(modality.upper() for modality in PROJECTIONS)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CAPTURE_MODALITIES = (*MODALITIES, "OT", "SC", "")
_DX_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
_COMPRESSED = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91))
_META_GROUP, _TRANSFER_SYNTAX = 0x0002, 0x0010
_META_AT = 132
IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
_BESIDE_PIXELS_BYTES = 1 << 24
_IN_PLACE_FROM_BYTES = 1 << 18
_PIXEL_DATA = 0x7FE00010
_UID = re.compile(r"[0-9.]{1,64}")
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
DAMAGED = "The file was cut off or damaged on its way. Send it again from the X-ray system."


def read(data: bytes | mmap.mmap, sha256: str, limits: ReadLimits = DEFAULT_LIMITS) -> Radiograph:
    """Read one DICOM object. Of mapped data the picture may be a view: it must outlive the picture.

    Raises UnsupportedImageError for another modality, several frames, colour, an unknown transfer syntax or
    a missing library; UnreadableImageError for damaged or contradictory content.
    """
    pydicom = library()
    syntax, dataset_at = file_meta(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # pydicom only warns of a value that is cut off, and forgets the element.
        warnings.filterwarnings("error", message="End of file reached")
        if syntax not in (*NATIVE, DEFLATED, RLE, *_COMPRESSED):
            raise UnsupportedImageError(
                f"DICOM transfer syntax {pydicom.uid.UID(syntax).name} is not read",
                "Export it uncompressed (Explicit VR Little Endian), as JPEG lossless or as JPEG 2000.",
            )
        if syntax == DEFLATED:
            data, syntax, dataset_at = _inflated(data[dataset_at:], limits), _EXPLICIT, 0
        dataset = _parse(data, syntax, dataset_at)
        _check_kind(dataset)
        _check_layout(dataset, limits)
        return _radiograph(dataset, syntax, sha256, _in_place(dataset, data))


def _radiograph(dataset: Dataset, syntax: str, sha256: str, in_place: memoryview | None) -> Radiograph:
    try:
        plane = read_plane(dataset, syntax, in_place)
        facts = acquisition_facts(dataset, plane)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # the libraries raise anything at all on hostile content
        raise UnreadableImageError(f"the DICOM pixel data is damaged ({_kind(error)})", DAMAGED) from error
    noticed = notices(dataset) + plane.warnings
    capture = text(dataset, "SOPClassUID") == _SECONDARY_CAPTURE
    facts = replace(facts, declared=facts.modality in PROJECTIONS and not capture)
    if capture:
        noticed += ("This is a secondary capture, not the original image: detail may be lost.",)
    return Radiograph(plane.pixels, plane.bit_depth, sha256, format="dicom", facts=facts, warnings=noticed)


def file_meta(data: bytes | mmap.mmap) -> tuple[str, int]:
    """The transfer syntax UID in the file meta information, and where the data set after it begins.

    Raises UnreadableImageError where it is missing or stated twice and differently.
    """
    found: set[str] = set()
    position = _META_AT
    try:
        while position < len(data):
            group, element, vr = struct.unpack_from("<HH2s", data, position)
            if group != _META_GROUP:
                break
            form, at = ("<I", 8) if vr in _LONG_VRS else ("<H", 6)
            (length,) = struct.unpack_from(form, data, position + at)
            value_at = position + at + struct.calcsize(form)
            position = value_at + int(length)
            if element == _TRANSFER_SYNTAX:
                found.add(_uid(data[value_at:position]))
    except struct.error as error:
        raise UnreadableImageError("the DICOM header is damaged", DAMAGED) from error
    if len(found) != 1:
        said = "states several transfer syntaxes" if found else "does not state the transfer syntax"
        raise UnreadableImageError(f"the DICOM header {said}", DAMAGED)
    return found.pop(), position


def _uid(value: bytes) -> str:
    text_value = value.rstrip(b"\x00 ").decode("ascii", "replace")
    if not _UID.fullmatch(text_value):
        raise UnreadableImageError("the DICOM header states no valid transfer syntax", DAMAGED)
    return text_value


def library() -> ModuleType:
    """pydicom. Raises UnsupportedImageError where it is not installed."""
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise UnsupportedImageError(
            "DICOM files need pydicom, which is not installed", 'run pip install "ulna[dicom]"'
        ) from error
    return pydicom  # type: ignore[no-any-return]


def _inflated(data: bytes, limits: ReadLimits) -> bytes:
    """The data set, which has no more bytes than the largest picture and what may stand beside it."""
    most = 2 * limits.max_pixels + _BESIDE_PIXELS_BYTES
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = engine.decompress(data, most)
    except zlib.error as error:
        raise UnreadableImageError("the DICOM file's deflated data is damaged", DAMAGED) from error
    if engine.unconsumed_tail:
        raise UnsupportedImageError(
            f"the DICOM file inflates to more than {most >> 20} MiB", "Send one radiograph a file."
        )
    if not engine.eof:
        raise UnreadableImageError("the DICOM file ends before its data does", DAMAGED)
    return whole


def _parse(data: bytes | mmap.mmap, syntax: str, dataset_at: int) -> Dataset:
    """The data set alone: dcmread would read the header anew, and inflate what another reading of it says.

    Of many pixels that are not compressed it has the place only (see `_in_place`).
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset

    file = BytesIO(data) if isinstance(data, bytes) else data
    file.seek(dataset_at)
    most = _IN_PLACE_FROM_BYTES if syntax in NATIVE else None
    try:
        dataset = read_dataset(file, syntax == IMPLICIT, syntax != BIG_ENDIAN, defer_size=most)
        # Where pydicom finds the values that it has passed over, whoever asks for one.
        dataset.filename, dataset.buffer, dataset.timestamp, dataset.fileobj_type = None, file, None, None
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        return dataset
    except UserWarning as error:  # `read` made an error of this one
        raise UnreadableImageError("the DICOM file ends before its data does", DAMAGED) from error
    except MemoryError:
        raise
    except ValueError as error:
        if not isinstance(data, bytes) and "seek out of range" in str(error):  # of a mapped file
            raise UnreadableImageError("the DICOM file ends before its data does", DAMAGED) from error
        raise UnreadableImageError(f"the DICOM file is damaged ({_kind(error)})", DAMAGED) from error
    except Exception as error:  # pydicom raises anything from KeyError to RecursionError on hostile content
        raise UnreadableImageError(f"the DICOM file is damaged ({_kind(error)})", DAMAGED) from error


def _in_place(dataset: Dataset, data: bytes | mmap.mmap) -> memoryview | None:
    """The bytes of the pixels where `_parse` passed them over; None where the data set holds them."""
    found = dataset.get_item(_PIXEL_DATA, keep_deferred=True)
    if found.value is not None or not found.length:
        return None
    end = found.value_tell + found.length
    if end > len(data):
        raise UnreadableImageError("the DICOM file ends before its data does", DAMAGED)
    return memoryview(data)[found.value_tell : end]


def _check_kind(dataset: Dataset) -> None:
    modality = text(dataset, "Modality").upper()
    capture = text(dataset, "SOPClassUID") == _SECONDARY_CAPTURE
    if not modality and "PixelData" not in dataset:
        raise UnreadableImageError(
            "the DICOM file states no modality and holds no pixel data: it is cut off, or no image",
            "Send the image object itself, whole.",
        )
    if modality not in (_CAPTURE_MODALITIES if capture else MODALITIES):
        raise UnsupportedImageError(
            f"DICOM modality {modality or '(not stated)'} is not read, {', '.join(MODALITIES)} are",
            "Send a plain radiograph.",
        )
    raw = text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING"
    if raw or text(dataset, "SOPClassUID") == _DX_FOR_PROCESSING:
        raise UnsupportedImageError(
            "this is the detector's raw image (FOR PROCESSING)",
            "Send the processed image (FOR PRESENTATION) from the X-ray system.",
        )


def _check_layout(dataset: Dataset, limits: ReadLimits) -> None:
    frames, samples = integer(dataset, "NumberOfFrames", 1), integer(dataset, "SamplesPerPixel", 1)
    photometric = text(dataset, "PhotometricInterpretation").upper()
    if "PixelData" not in dataset:
        raise UnreadableImageError("the DICOM file holds no pixel data", "Send the image object itself.")
    if frames > 1:
        raise UnsupportedImageError(f"a DICOM image of {frames} frames is not read", "Send one image a file.")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedImageError(
            f"a DICOM image of {photometric or 'no stated photometric interpretation'} "
            f"with {samples} samples a pixel is not read",
            "Send the gray image.",
        )
    check_dimensions(integer(dataset, "Rows", 0), integer(dataset, "Columns", 0), limits)


def _kind(error: Exception) -> str:
    """Not its words: a library quotes the value that it stumbled over, and that may be the patient's name."""
    return type(error).__name__
