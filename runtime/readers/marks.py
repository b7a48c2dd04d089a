"""What tells a DICOM file from any other: nothing is parsed for it."""

from __future__ import annotations

import mmap

_PREFIX_AT, _PREFIX = 128, b"DICM"
HEAD_BYTES = _PREFIX_AT + len(_PREFIX)
"""Of a file, that tell what it is."""


def is_dicom(data: bytes | mmap.mmap) -> bool:
    """Whether it says so itself."""
    return data[_PREFIX_AT:HEAD_BYTES] == _PREFIX
