"""JPEG lossless, JPEG-LS and JPEG 2000 in DICOM, by GDCM.

It ends its whole process on some damaged files: one more reason why pictures are read in a process of their
own (runtime.readers.zygote).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError
from runtime.readers.complaints import caught, damage

_ADVICE = "The file was cut off or damaged on its way. Send it again from the X-ray system."


@dataclass(frozen=True)
class Request:
    """What the data set says about the frame; `signed` as PixelRepresentation, 0 or 1."""

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: int


def decode(request: Request, frame: bytes) -> NDArray[np.integer[Any]]:
    """Stored values (H, W). Raises UnreadableImageError where GDCM fails or complains."""
    with caught() as complaints:
        try:
            values: NDArray[np.integer[Any]] | None = _decode(request, frame)
        except MemoryError:
            raise
        except Exception:  # pydicom's and GDCM's own, of every kind
            values = None
    if values is None or damage(complaints) is not None:
        raise UnreadableImageError("the compressed picture is damaged and cannot be decoded", _ADVICE)
    return values


def _decode(request: Request, frame: bytes) -> NDArray[np.integer[Any]]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels import pixel_array

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = request.syntax
    dataset.Rows, dataset.Columns = request.rows, request.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = request.bits_allocated, request.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = request.bits_stored - 1, request.signed
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return np.ascontiguousarray(pixel_array(dataset, raw=True, decoding_plugin="gdcm"))
