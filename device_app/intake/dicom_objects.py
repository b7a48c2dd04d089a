"""What the DICOM receiver takes, and how a data set becomes a file (DICOM PS3.10 7.1). Pure; parses nothing.

The file holds nothing that differs from one sending to the next, so that the same data set is the same bytes.
"""

from __future__ import annotations

import re
import struct

SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
}
"""Of what a radiograph comes as. Not the raw images (For Processing): the reader refuses them anyway."""
VERIFICATION = "1.2.840.10008.1.1"

TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
)
"""All that the reader reads, in the order in which the receiver chooses where it is given a choice."""

IMPLEMENTATION_UID = "2.25.171741346326356631326644224245367585147"
IMPLEMENTATION_NAME = "ULNA"
_UID = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)+", re.ASCII)
_MOST_UID_CHARS = 64


def is_uid(text: str) -> bool:
    """Whether it can be one; leading zeros within are forgiven, many senders write them."""
    return len(text) <= _MOST_UID_CHARS and _UID.fullmatch(text) is not None


def file_head(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """What stands before the data set in a file: preamble, prefix and file meta information."""
    elements = (
        _element(0x0001, b"OB", b"\x00\x01"),
        _element(0x0002, b"UI", _uid(sop_class)),
        _element(0x0003, b"UI", _uid(sop_instance)),
        _element(0x0010, b"UI", _uid(syntax)),
        _element(0x0012, b"UI", _uid(IMPLEMENTATION_UID)),
        _element(0x0013, b"SH", IMPLEMENTATION_NAME.encode()),
    )
    group = b"".join(elements)
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<I", len(group))) + group


def _uid(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b"\x00" * (len(value) % 2)


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """Of group 0002, Explicit VR Little Endian."""
    form = "<HH2s2xI" if vr == b"OB" else "<HH2sH"
    return struct.pack(form, 0x0002, number, vr, len(value)) + value
