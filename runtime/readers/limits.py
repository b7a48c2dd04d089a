"""How large an image may be; checked on what the header declares, before any decoder allocates memory."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import UnreadableImageError, UnsupportedImageError

_MIB = 1 << 20


@dataclass(frozen=True)
class ReadLimits:
    """The largest detectors give 20 megapixels, stitched whole-leg films 30; more is not a plate.

    max_file_bytes: of the file as it arrives. max_pixels: rows times columns. max_side_px: either side.
    memory_bytes, cpu_s: that reading one file may take, its own bytes included.
    """

    max_file_bytes: int = 192 * _MIB
    max_pixels: int = 64_000_000
    max_side_px: int = 20_000
    memory_bytes: int = 400 * _MIB
    cpu_s: int = 4


DEFAULT_LIMITS = ReadLimits()
HEADER_LIMITS = ReadLimits(max_pixels=0, cpu_s=1)
"""Of a header by itself: no picture is small enough to be decoded."""


def check_file_size(size_bytes: int, limits: ReadLimits) -> None:
    """Raise UnreadableImageError for an empty file, UnsupportedImageError for one above the limit."""
    if size_bytes == 0:
        raise UnreadableImageError("the file is empty (0 bytes)", "Export or copy the image again.")
    if size_bytes > limits.max_file_bytes:
        raise UnsupportedImageError(
            f"the file has {size_bytes // _MIB} MiB, the limit is {limits.max_file_bytes // _MIB} MiB",
            "Send one radiograph a file.",
        )


def check_dimensions(height_px: int, width_px: int, limits: ReadLimits) -> None:
    """Raise UnreadableImageError for an empty plane, UnsupportedImageError for one above the limits."""
    if height_px <= 0 or width_px <= 0:
        raise UnreadableImageError(
            f"the file declares {width_px} x {height_px} pixels", "Export the image again."
        )
    if height_px * width_px > limits.max_pixels or max(height_px, width_px) > limits.max_side_px:
        raise UnsupportedImageError(
            f"the file declares {width_px} x {height_px} pixels, "
            f"the limit is {limits.max_pixels} pixels and {limits.max_side_px} a side",
            "Send the radiograph at its original size.",
        )
