"""The beginning of a DICOM file -> whose picture it is, even where its pixels are cut off or damaged."""

from __future__ import annotations

import mmap
import warnings
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from runtime.errors import UnreadableImageError
from runtime.radiograph import FileSays
from runtime.readers.dicom import BIG_ENDIAN, DAMAGED, DEFLATED, IMPLICIT, file_meta, library
from runtime.readers.dicom_facts import file_says

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_LAST_GROUP = 0x0020
"""Of those that say whose a picture is; elements stand in the order of their groups."""
_INFLATED_BYTES = 1 << 20


def read(data: bytes | mmap.mmap) -> FileSays:
    """Raises UnreadableImageError where the header is damaged, or does not end within the data."""
    library()
    syntax, dataset_at = file_meta(data)
    if syntax == DEFLATED:
        data, dataset_at = _beginning(data[dataset_at:]), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return file_says(_header(data, syntax, dataset_at))


def _header(data: bytes | mmap.mmap, syntax: str, dataset_at: int) -> Dataset:
    """The groups that are asked for and those before them: what pixels there are is not even looked for."""
    from pydicom.filereader import read_dataset

    file = BytesIO(data) if isinstance(data, bytes) else data
    file.seek(dataset_at)
    beyond = False

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal beyond
        beyond = int(tag) >> 16 > _LAST_GROUP
        return beyond

    try:
        dataset = read_dataset(file, syntax == IMPLICIT, syntax != BIG_ENDIAN, stop_when=stop)
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises anything from KeyError to RecursionError on hostile content
        raise _damaged() from error
    if not beyond:
        raise _damaged()
    return dataset


def _beginning(data: bytes) -> bytes:
    """Of a deflated data set: its end may be missing."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _INFLATED_BYTES)
    except zlib.error as error:
        raise _damaged() from error


def _damaged() -> UnreadableImageError:
    return UnreadableImageError("the DICOM header is damaged or cut off", DAMAGED)
