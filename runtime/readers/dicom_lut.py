"""Lookup tables of the Modality and VOI LUT modules (DICOM PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MOST_ENTRIES = 1 << 16
_DAMAGED = "The file was cut off or damaged on its way. Send it again from the X-ray system."


@dataclass(frozen=True, eq=False)
class LookupTable:
    """entries: (N,) uint16, the first for the input value `first` and all below it, the last for all above.
    bits: of an entry, 8 to 16.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def apply(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Values of any range -> entries."""
        places = np.clip(values - self.first, 0, len(self.entries) - 1)
        return self.entries[places].astype(np.int64)


def first_table(dataset: Dataset, keyword: str, little_endian: bool) -> LookupTable | None:
    """Of a sequence of tables, which are alternatives; None where there is none.

    Raises UnreadableImageError for a table that contradicts its descriptor.
    """
    sequence = dataset.get(keyword)
    if not sequence:
        return None
    item = sequence[0]
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = (count & (_MOST_ENTRIES - 1)) or _MOST_ENTRIES  # 65,536 does not fit and is written as 0
    if not 8 <= bits <= 16:
        raise UnreadableImageError(f"the DICOM lookup table has {bits} bits an entry", _DAMAGED)
    entries = _entries(item["LUTData"].value, count, little_endian)
    if int(entries.max()) >= 1 << bits:
        raise UnreadableImageError(f"the DICOM lookup table's entries need more than {bits} bits", _DAMAGED)
    return LookupTable(first, entries, bits)


def _entries(value: bytes | int | Sequence[int], count: int, little_endian: bool) -> NDArray[np.uint16]:
    """Words, or bytes where there are only so many of them: both are written for tables of 8 bits."""
    if isinstance(value, int):
        value = [value]
    if not isinstance(value, bytes):
        value = struct.pack(f"<{len(value)}H", *(word & 0xFFFF for word in value))
        little_endian = True
    words = len(value) >= 2 * count
    kind = ("<u2" if little_endian else ">u2") if words else "u1"
    if len(value) < count:
        raise UnreadableImageError(
            f"the DICOM lookup table declares {count} entries and holds {len(value)} bytes", _DAMAGED
        )
    return np.frombuffer(value, kind, count).astype(np.uint16)
