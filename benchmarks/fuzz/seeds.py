"""Sound files to begin with: a computed picture in every form that is read, and real files where given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.readers import marks, raster

_LARGEST_BYTES = 1 << 20
_HEIGHT_PX, _WIDTH_PX = 120, 96
_IMPLICIT, _EXPLICIT, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
_RLE, _BASELINE, _JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
_CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
_CODESTREAM = b"\xff\x4f\xff\x51"
_RASTERS: tuple[tuple[str, tuple[int, ...], int], ...] = (
    (".jpg", (), 8),
    (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 8),
    (".png", (), 8),
    (".png", (), 16),
    (".tiff", (cv2.IMWRITE_TIFF_COMPRESSION, 1), 16),
    (".tiff", (cv2.IMWRITE_TIFF_COMPRESSION, 5), 8),
    (".tiff", (cv2.IMWRITE_TIFF_COMPRESSION, 32946), 8),
    (".bmp", (), 8),
    (".webp", (cv2.IMWRITE_WEBP_QUALITY, 80), 8),
    (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101), 8),
)
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Seed:
    """form: "jpeg", "dicom" and so on, "other" for what is no picture."""

    form: str
    data: bytes


def seeds_of(folders: tuple[Path, ...] = ()) -> list[Seed]:
    """Computed ones, then every file below the folders that is not larger than 1 MiB, in order of names."""
    computed = [*_rasters(), *_dicoms()]
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    real = (path.read_bytes() for path in paths if 0 < path.stat().st_size <= _LARGEST_BYTES)
    return [Seed(_form(data), data) for data in (*computed, *real)]


def _form(data: bytes) -> str:
    return "dicom" if marks.is_dicom(data) else raster.detect_format(data) or "other"


def _plate(bits: int) -> Pixels:
    y, x = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX]
    noise = np.random.default_rng(1).normal(0, 0.01, y.shape)
    unit = np.clip(0.15 + 0.5 * np.exp(-(((x - 48) / 14) ** 2)) + 0.1 * y / _HEIGHT_PX + noise, 0, 1)
    return np.asarray(unit * ((1 << bits) - 1), np.uint8 if bits == 8 else np.uint16)


def _rasters() -> Iterator[bytes]:
    for suffix, options, bits in _RASTERS:
        yield _encoded(suffix, _plate(bits), options)
    colours = cv2.merge([_plate(8), _plate(8) // 2, 255 - _plate(8), _plate(8)])
    yield _encoded(".png", colours)


def _encoded(suffix: str, pixels: Pixels, options: tuple[int, ...] = ()) -> bytes:
    done, data = cv2.imencode(suffix, pixels, list(options))
    assert done
    return bytes(data.tobytes())


def _dicoms() -> Iterator[bytes]:
    from pydicom.encaps import encapsulate

    deep, shallow = _plate(12), _plate(8)
    codestream = _encoded(".jp2", deep, (cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000))
    codestream = codestream[codestream.index(_CODESTREAM) :]
    yield _dicom(deep, _EXPLICIT, deep.astype("<u2").tobytes())
    yield _dicom(deep, _IMPLICIT, deep.astype("<u2").tobytes())
    yield _deflated(_dicom(deep, _EXPLICIT, deep.astype("<u2").tobytes()))
    yield _dicom(shallow, _BASELINE, encapsulate([_encoded(".jpg", shallow)]))
    yield _dicom(deep, _JPEG_2000, encapsulate([codestream]), bits_stored=16)
    yield _rle(deep)


def _dicom(pixels: Pixels, syntax: str, pixel_data: bytes, bits_stored: int = 0) -> bytes:
    from pydicom import dcmwrite

    dataset = _elements(pixels, bits_stored or (8 if pixels.dtype.itemsize == 1 else 12))
    dataset.file_meta.TransferSyntaxUID = syntax
    native = syntax in (_EXPLICIT, _IMPLICIT)
    dataset.add_new(0x7FE00010, "OB" if not native or pixels.dtype.itemsize == 1 else "OW", pixel_data)
    dataset["PixelData"].is_undefined_length = not native
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _elements(pixels: Pixels, bits_stored: int) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset

    dataset, table = Dataset(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = _CR_STORAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality, dataset.BodyPartExamined, dataset.PatientAge = "CR", "HAND", "041Y"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.dtype.itemsize, bits_stored
    dataset.HighBit, dataset.PixelRepresentation = bits_stored - 1, 0
    dataset.PixelPaddingValue, dataset.ShutterShape = 0, "RECTANGULAR"
    dataset.ShutterLeftVerticalEdge, dataset.ShutterRightVerticalEdge = 3, 90
    dataset.ShutterUpperHorizontalEdge, dataset.ShutterLowerHorizontalEdge = 3, 110
    table.LUTDescriptor = [256, 0, 12]
    table.LUTData = (np.arange(256) * 16).astype("<u2").tobytes()
    dataset.VOILUTSequence = [table]
    return dataset


def _rle(pixels: Pixels) -> bytes:
    from pydicom import dcmread

    dataset = dcmread(BytesIO(_dicom(pixels, _EXPLICIT, pixels.astype("<u2").tobytes())))
    dataset.compress(_RLE)
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def _deflated(data: bytes) -> bytes:
    """The same file under the deflated transfer syntax."""
    from pydicom import dcmread

    dataset = dcmread(BytesIO(data))
    dataset.file_meta.TransferSyntaxUID = _DEFLATED
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
