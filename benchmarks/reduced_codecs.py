"""Large pictures, the files that they come in, and their decoding in full or at a part of their size."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.degradations import as_jpeg
from benchmarks.refusals import Picture
from runtime.radiograph import Radiograph
from runtime.readers import jpeg2000, raster, read_bytes

AS_THEY_ARE, MADE_LARGE = "plates", "made large"
READINGS = ("full", "1/2", "1/4")
"""By level: how often the sides are halved."""
_JPEG_FLAGS = (cv2.IMREAD_UNCHANGED, cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_GRAYSCALE_4)
_JPEG_QUALITY = 90
_PLATE_BITS = 12
_PLATE_TOP = (1 << _PLATE_BITS) - 1
_NOISE = 0.004
"""Spread of a pixel's noise as a share of the gray levels: that of a CR plate of a hand, 2,500 x 2,048. Four
others, 1,760 to 2,140 pixels long, have 0.002 to 0.008."""
_LOSSLESS = (cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)
Decoded = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Plate:
    """A picture large enough to be reduced. kind: AS_THEY_ARE or MADE_LARGE."""

    name: str
    kind: str
    radiograph: Radiograph


@dataclass(frozen=True)
class Codec:
    """make: radiograph -> bytes of a file. decode: those and a level -> (H, W).

    bits: of what is decoded, None for those of the radiograph.
    """

    name: str
    make: Callable[[Radiograph], bytes]
    decode: Callable[[bytes, int], Decoded]
    bits: int | None = None


def codecs() -> tuple[Codec, ...]:
    """Those that can be read at reduced size here."""
    jpeg = Codec("JPEG", jpeg_of, decode_jpeg, 8)
    return (jpeg, Codec("JPEG 2000", jpeg2000_of, decode_jpeg2000)) if pillow_versions() else (jpeg,)


def pillow_versions() -> str:
    """Of what reads JPEG 2000 at reduced size; "" where it is missing."""
    if importlib.util.find_spec("PIL") is None:
        return ""
    from PIL import __version__, features

    openjpeg = features.version("jpg_2000")
    return "" if openjpeg is None else f"Pillow {__version__} with OpenJPEG {openjpeg}"


def jpeg_of(radiograph: Radiograph) -> bytes:
    """Its gray levels brought to the 256 that a JPEG holds, as an export does."""
    low, high = int(radiograph.pixels.min()), int(radiograph.pixels.max())
    unit = (radiograph.pixels - np.float32(low)) / np.float32(max(1, high - low))
    return as_jpeg(np.rint(255 * unit).astype(np.uint8), _JPEG_QUALITY)


def jpeg2000_of(radiograph: Radiograph) -> bytes:
    """Lossless."""
    kind = np.uint8 if radiograph.bit_depth == 8 else np.uint16
    return bytes(cv2.imencode(".jp2", radiograph.pixels.astype(kind), _LOSSLESS)[1].tobytes())


def decode_jpeg(data: bytes, level: int) -> Decoded:
    """Level 0 by the runtime's own decoder, which raises UnreadableImageError for a damaged file."""
    if level == 0:
        return raster.decode(data, "jpeg")
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), _JPEG_FLAGS[level]))


def decode_jpeg2000(data: bytes, level: int) -> Decoded:
    """Level 0 by the runtime's own decoder. Raises ValueError for what it cannot decode."""
    if level == 0:
        values = jpeg2000.decode(data)
        if values is None:
            raise ValueError("OpenCV cannot decode the JPEG 2000 file")
        return values
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

    with Jpeg2KImageFile(BytesIO(data)) as picture:
        picture.reduce = level
        return np.asarray(picture)


def levels_of(radiograph: Radiograph, size_px: int) -> tuple[int, ...]:
    """0, and those at which the short side is no shorter than the network's."""
    side = min(radiograph.height_px, radiograph.width_px)
    return (0, *(level for level in range(1, len(READINGS)) if side >> level >= size_px))


def plates_of(files: Iterable[Path], size_px: int) -> Iterator[Plate]:
    """Those of files that can be reduced. Raises InputError for one that cannot be read."""
    for path in files:
        radiograph = read_bytes(path.read_bytes())
        if len(levels_of(radiograph, size_px)) > 1:
            yield Plate(path.name, AS_THEY_ARE, divisible(radiograph))


def made_large(pictures: Iterable[Picture], size_px: int, long_side_px: int) -> Iterator[Plate]:
    """A picture that can be reduced stays as it is, one of 8 bits that is too small for that is enlarged.

    Raises InputError for one that cannot be read.
    """
    for picture in pictures:
        radiograph = read_bytes(picture.data())
        if len(levels_of(radiograph, size_px)) > 1:
            yield Plate(picture.name, AS_THEY_ARE, divisible(radiograph))
        elif radiograph.bit_depth == 8:
            yield Plate(picture.name, MADE_LARGE, divisible(enlarged(radiograph, long_side_px)))


def enlarged(radiograph: Radiograph, long_side_px: int) -> Radiograph:
    """What a plate of so many pixels and 12 bits might have shown: the same picture, and noise of its own.

    Takes a picture of 8 bits.
    """
    scale = long_side_px / max(radiograph.pixels.shape)
    size = (round(radiograph.width_px * scale), round(radiograph.height_px * scale))
    smooth = cv2.resize(radiograph.pixels.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(int(radiograph.pixels.sum())).standard_normal(smooth.shape, np.float32)
    plane = (_PLATE_TOP / 255) * smooth + (_NOISE * _PLATE_TOP) * noise
    pixels = np.clip(np.rint(plane), 0, _PLATE_TOP).astype(np.uint16)
    return replace(radiograph, pixels=pixels, bit_depth=_PLATE_BITS)


def divisible(radiograph: Radiograph) -> Radiograph:
    """Without the last few rows and columns, so that its half and quarter show exactly the same: decoders
    round the size of what is left over, each its own way.
    """
    step = 1 << (len(READINGS) - 1)
    height, width = (side // step * step for side in radiograph.pixels.shape)
    return replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels[:height, :width]))


def rounded_anew(pixels: Decoded) -> Decoded:
    """Every fourth pixel one level up and every fourth one down, drawn by chance and the same for the same
    picture. Those at the ends of the scale stay where they were cut.
    """
    drawn = np.random.default_rng(pixels.size).integers(0, 4, pixels.shape, np.int32)
    change = (drawn == 0).astype(np.int32) - (drawn == 1)
    inside = (pixels > pixels.min()) & (pixels < pixels.max())
    return np.where(inside, pixels + change, pixels).astype(pixels.dtype)


def halved_by_means(pixels: Decoded) -> Decoded:
    """(H, W), both even -> (H / 2, W / 2), rounded: what no decoder's own reduction adds anything to."""
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
