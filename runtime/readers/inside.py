"""Bytes -> Radiograph, here and now. What a file is, its content says; its name is never asked.

Called in a process that has nothing to lose (runtime.readers.zygote): what is parsed comes from a stranger.
"""

from __future__ import annotations

import mmap

from runtime.errors import UnreadableImageError, UnsupportedImageError
from runtime.radiograph import FileSays, Radiograph
from runtime.readers import raster
from runtime.readers.limits import ReadLimits
from runtime.readers.marks import is_dicom

_SAVE_AS = "Export it as JPEG, PNG, TIFF, BMP, WebP or DICOM."
_OTHERS = (
    (b"%PDF", 0, "a PDF document"),
    (b"GIF8", 0, "a GIF image"),
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


def read_header(data: bytes | mmap.mmap) -> FileSays:
    """What a header says of whose picture it is, without a look at any pixel; nothing where it is not DICOM.

    Raises UnreadableImageError for a header that is damaged or not all there.
    """
    if not is_dicom(data):
        return FileSays()
    from runtime.readers import dicom_header

    return dicom_header.read(data)


def read(data: bytes | mmap.mmap, sha256: str, limits: ReadLimits) -> Radiograph:
    """Read one image. data: mapped only where it is DICOM. sha256: of the data, in hex.

    Raises UnreadableImageError for damaged bytes and for no image at all, UnsupportedImageError for a sound
    file of a kind that is not read.
    """
    # DICOM first: its 128 free bytes may hold a TIFF header for other software.
    if is_dicom(data):
        from runtime.readers import dicom

        return dicom.read(data, sha256, limits)
    assert isinstance(data, bytes)
    kind = raster.detect_format(data)
    if kind is not None:
        return raster.read(data, sha256, kind, limits)
    for signature, at, words in _OTHERS:
        if data[at : at + len(signature)] == signature:
            raise UnsupportedImageError(f"{words} is not read", _SAVE_AS)
    raise UnreadableImageError("the file is no image that Ulna knows", _SAVE_AS)
