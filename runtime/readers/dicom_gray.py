"""Stored values -> a plane with bone bright (DICOM PS3.3 C.7.6.3.1.2, C.7.6.11, C.11.1, C.11.2).

Every step maps single values, so all of them are applied to the 65,536 values that there can be, and the
picture is looked up once; most files need less than that, an addition or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError
from runtime.readers.dicom_facts import integer, number, text
from runtime.readers.dicom_lut import first_table
from runtime.readers.dicom_shutter import hidden

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DAMAGED = "The file was cut off or damaged on its way. Send it again from the X-ray system."
Values = NDArray[np.int64]


@dataclass(frozen=True)
class Depth:
    """What the file says of a stored value, and the order of bytes in its tables."""

    stored: int
    signed: bool
    little_endian: bool


@dataclass(frozen=True, eq=False)
class Plane:
    """pixels: (H, W) uint16, bone bright. A stored value v became scale * v + offset, or a table's entry."""

    pixels: NDArray[np.uint16]
    bit_depth: int
    scale: float
    offset: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Shades:
    """values: (65536,) what each stored value becomes, in [0, 2**bits) where the picture has such a value.

    straight: whether that is scale * value + offset, for every value that the picture has.
    """

    values: Values
    bits: int
    straight: bool = False
    scale: float = 1.0
    offset: float = 0.0
    warnings: tuple[str, ...] = ()


def bone_bright(dataset: Dataset, stored: NDArray[np.integer[Any]], depth: Depth) -> Plane:
    """stored: (H, W) of any integer type. Raises UnreadableImageError for values that contradict the file."""
    shades = _shades(dataset, stored, depth)
    top, scale, offset = (1 << shades.bits) - 1, shades.scale, shades.offset
    values = np.clip(shades.values, 0, top)
    if text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1":
        values, scale, offset = top - values, -scale, top - offset
    words = stored.astype(np.uint16, copy=False)
    pixels = _stretched(words, scale, offset) if shades.straight else values.astype(np.uint16)[words]
    pixels = _darkened(pixels, _outside(dataset, stored))
    return Plane(pixels, max(shades.bits, 8), scale, offset, shades.warnings)


def _stretched(words: NDArray[np.uint16], scale: float, offset: float) -> NDArray[np.uint16]:
    """scale * value + offset, scale being 1 or -1: modulo 2**16, as negative values are stored too."""
    if (scale, offset) == (1.0, 0.0):
        return words
    shift = np.uint16(int(offset) % (1 << 16))
    return words + shift if scale > 0 else shift - words


def _shades(dataset: Dataset, stored: NDArray[np.integer[Any]], depth: Depth) -> _Shades:
    """A rescale slope only stretches the gray scale, which preprocessing normalises anyway, so stored values
    are kept; its sign is honoured. Tables are applied; that of the VOI module where no window stands beside
    it, since then it alone says how the picture is meant to be seen.
    """
    domain = np.arange(1 << 16, dtype=np.int64)
    if depth.signed:
        domain = domain.astype(np.uint16).view(np.int16).astype(np.int64)
    modality = first_table(dataset, "ModalityLUTSequence", depth.little_endian)
    voi = first_table(dataset, "VOILUTSequence", depth.little_endian) if _no_window(dataset) else None
    if modality is not None:
        shades = _Shades(modality.apply(domain), modality.bits)
        return shades if voi is None else _Shades(voi.apply(shades.values), voi.bits)
    if voi is not None:
        slope, intercept = number(dataset, "RescaleSlope", 1.0), number(dataset, "RescaleIntercept", 0.0)
        given = np.rint(np.clip(domain * (slope or 1.0) + intercept, -(1 << 31), 1 << 31)).astype(np.int64)
        return _Shades(voi.apply(given), voi.bits)
    return _rescaled(dataset, stored, depth, domain)


def _no_window(dataset: Dataset) -> bool:
    return not text(dataset, "WindowCenter") or not text(dataset, "WindowWidth")


def _rescaled(dataset: Dataset, stored: NDArray[np.integer[Any]], depth: Depth, domain: Values) -> _Shades:
    bits, warnings = _bits_needed(stored, depth)
    offset = 1 << (bits - 1) if depth.signed else 0
    if number(dataset, "RescaleSlope", 1.0) < 0:
        top = (1 << bits) - 1
        return _Shades(top - (domain + offset), bits, True, -1.0, float(top - offset), warnings)
    return _Shades(domain + offset, bits, True, 1.0, float(offset), warnings)


def _bits_needed(stored: NDArray[np.integer[Any]], depth: Depth) -> tuple[int, tuple[str, ...]]:
    """The declared depth, or the smallest that holds the values where a file declares too few bits."""
    low, high = int(stored.min()), int(stored.max())
    for bits in range(depth.stored, 17):
        bottom, top = (-(1 << (bits - 1)), 1 << (bits - 1)) if depth.signed else (0, 1 << bits)
        if bottom <= low and high < top:
            wider = bits > depth.stored
            said = f"Pixel values need {bits} bits, the file declares {depth.stored}."
            return bits, ((said,) if wider else ())
    raise UnreadableImageError(f"pixel values from {low} to {high} fit no depth up to 16 bits", _DAMAGED)


def _outside(dataset: Dataset, stored: NDArray[np.integer[Any]]) -> NDArray[np.bool_] | None:
    """(H, W), what is no exposed plate: padding (PixelPaddingValue, PixelPaddingRangeLimit) and shutter."""
    outside = hidden(dataset, *stored.shape)
    if "PixelPaddingValue" in dataset:
        one = integer(dataset, "PixelPaddingValue", 0)
        other = integer(dataset, "PixelPaddingRangeLimit", one)
        padding = (stored >= min(one, other)) & (stored <= max(one, other))
        outside = padding if outside is None else outside | padding
    return outside


def _darkened(pixels: NDArray[np.uint16], outside: NDArray[np.bool_] | None) -> NDArray[np.uint16]:
    """As dark as the darkest exposed pixel: it is not anatomy and must not stretch the gray scale."""
    if outside is None or not outside.any() or outside.all():
        return pixels
    return np.where(outside, pixels[~outside].min(), pixels)
