"""Whether a file may be a picture at all, by its first bytes: nothing of it is parsed here."""

from __future__ import annotations

from runtime.readers.marks import HEAD_BYTES, is_dicom

__all__ = ["HEAD_BYTES", "is_picture"]


def is_picture(head: bytes) -> bool:
    """Whether a file with this head says that it is of a kind which is read. head: HEAD_BYTES, or all."""
    from runtime.readers.raster import detect_format  # brings OpenCV; a kiosk without sources never asks

    return is_dicom(head) or detect_format(head) is not None
