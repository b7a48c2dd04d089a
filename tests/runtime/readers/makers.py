"""Image files for tests, made by the encoders themselves or byte by byte where these cannot make them."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
Pixels = NDArray[Any]


def plate(height: int = 160, width: int = 200, bits: int = 8, seed: int = 0) -> Pixels:
    """A smooth picture with an asymmetric gradient and a little noise: every rotation looks different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    unit = 0.1 + 0.6 * x / width + 0.2 * (y / height) ** 2 + rng.normal(0, 0.01, (height, width))
    kind = np.uint8 if bits == 8 else np.uint16
    return (np.clip(unit, 0, 1) * ((1 << bits) - 1)).astype(kind)


def encoded(extension: str, pixels: Pixels, *options: int) -> bytes:
    """What OpenCV's encoder makes of the pixels."""
    done, data = cv2.imencode(extension, pixels, list(options))
    assert done
    return bytes(data.tobytes())


def with_exif_orientation(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    """The JPEG with an EXIF segment that holds nothing but the orientation."""
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\x00\x00" + mark + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def oriented(pixels: Pixels, orientation: int) -> Pixels:
    """How a viewer shows pixels stored under an EXIF orientation, by the table of the EXIF standard."""
    return {
        1: pixels,
        2: np.fliplr(pixels),
        3: np.rot90(pixels, 2),
        4: np.flipud(pixels),
        5: pixels.T,
        6: np.rot90(pixels, 3),
        7: np.rot90(pixels, 2).T,
        8: np.rot90(pixels),
    }[orientation]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int, rows: bytes = b"\x00" * 100) -> bytes:
    """An 8-bit gray PNG that declares one size and holds `rows`, every checksum right."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(pixels: Pixels, order: str = "<", **tags: int) -> bytes:
    """A one-strip TIFF; `tags` replaces single values by name, `payload` and `next_page` by themselves."""
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    values = {
        256: tags.get("width", width),
        257: tags.get("height", height),
        258: tags.get("bits", 8 * pixels.dtype.itemsize),
        259: tags.get("compression", 1),
        262: tags.get("photometric", 1 if samples == 1 else 2),
        273: 8,
        274: tags.get("orientation", 1),
        277: samples,
        278: height,
        279: tags.get("strip_bytes", len(body)),
        339: tags.get("sample_format", 1),
    }
    short = {258, 259, 262, 274, 277, 339}
    directory = struct.pack(f"{order}H", len(values))
    for tag, value in values.items():
        form = "HHIHH" if tag in short else "HHII"
        rest = (value, 0) if tag in short else (value,)
        directory += struct.pack(f"{order}{form}", tag, 3 if tag in short else 4, 1, *rest)
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    tail = struct.pack(f"{order}I", tags.get("next_page", 0))
    return mark + struct.pack(f"{order}I", 8 + len(body)) + body + directory + tail


def dicom(
    pixels: Pixels, frame: bytes | None = None, syntax: str = ExplicitVRLittleEndian, **elements: Any
) -> bytes:
    """A CR image with the given elements over sensible ones; None removes an element.

    `frame` is one compressed frame, to be wrapped under `syntax`.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = str(elements.get("SOPClassUID", CR_STORAGE))
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset = _image_elements(pixels)
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CR_STORAGE, "1.2.3.4", "CR"
    if frame is not None:
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are what these files are for
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _image_elements(pixels: Pixels) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = 8 if pixels.dtype.itemsize == 1 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return dataset
