"""JPEG, PNG, TIFF, BMP and WebP -> Radiograph, decoded by OpenCV after the file's own structure was read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError
from runtime.radiograph import Radiograph
from runtime.readers import bmp, jpeg, png, tiff, webp
from runtime.readers.complaints import caught, damage
from runtime.readers.header import RasterHeader, turn_upright
from runtime.readers.limits import DEFAULT_LIMITS, ReadLimits, check_dimensions

INSPECTORS: dict[str, Callable[[bytes], RasterHeader]] = {
    "jpeg": jpeg.inspect,
    "png": png.inspect,
    "tiff": tiff.inspect,
    "bmp": bmp.inspect,
    "webp": webp.inspect,
}
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "jpeg": (jpeg.SIGNATURE,),
    "png": (png.SIGNATURE,),
    "tiff": tiff.SIGNATURES,
    "bmp": (bmp.SIGNATURE,),
}
_ADVICE = "The file was damaged on its way. Export or copy it again."
OPENCV_OUT_OF_MEMORY = -4  # cv::Error::StsNoMem
_COLOUR_SAMPLE_PX = 1 << 18
_BAND_ROWS = 256
_Pixels: TypeAlias = NDArray[np.integer[Any]]


def detect_format(data: bytes) -> str | None:
    """ "jpeg", "png", "tiff", "bmp" or "webp" by the first bytes, None for anything else."""
    if data.startswith(webp.SIGNATURE):
        return "webp" if data[webp.KIND_AT :].startswith(webp.KIND) else None
    return next((kind for kind, starts in _SIGNATURES.items() if data.startswith(starts)), None)


def read(data: bytes, sha256: str, kind: str, limits: ReadLimits = DEFAULT_LIMITS) -> Radiograph:
    """Decode a file of `kind`, as `detect_format` calls it.

    Raises UnreadableImageError for a damaged file and UnsupportedImageError for a sound one of a kind that
    is not read.
    """
    header = INSPECTORS[kind](data)
    check_dimensions(header.height_px, header.width_px, limits)
    decoded = decode(tiff.normalised(data) if kind == "tiff" else data, kind)
    if decoded.shape[:2] != (header.height_px, header.width_px):
        raise UnreadableImageError(
            f"the {kind.upper()} declares {header.width_px} x {header.height_px} pixels "
            f"and holds {decoded.shape[1]} x {decoded.shape[0]}",
            _ADVICE,
        )
    bits = 8 * decoded.dtype.itemsize
    plane, spread, warnings = _to_gray(decoded)
    if header.white_is_zero:
        plane = ((1 << bits) - 1 - plane).astype(np.uint16)
    return Radiograph(
        turn_upright(plane, header.orientation),
        bits,
        sha256,
        format=kind,
        colour_spread=spread,
        warnings=warnings,
    )


def decode(data: bytes, kind: str) -> _Pixels:
    """Pixels as stored: (H, W) or (H, W, 3 or 4), uint8 or uint16. The structure must have been checked.

    Raises UnreadableImageError where the decoder fails or complains of damage.
    """
    data = jpeg.normalised(data) if kind == "jpeg" else data
    with caught() as complaints:
        try:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            if error.code == OPENCV_OUT_OF_MEMORY:
                raise MemoryError from error
            decoded = None
    complaint = damage(complaints)
    if decoded is None or complaint is not None:
        reason = "it cannot be decoded" if complaint is None else _short(complaint)
        raise UnreadableImageError(f"the {kind.upper()} is damaged: {reason}", _ADVICE)
    if decoded.dtype not in (np.uint8, np.uint16):
        raise UnreadableImageError(f"the {kind.upper()} decodes to {decoded.dtype} values", _ADVICE)
    return np.asarray(decoded)


def _short(complaint: str) -> str:
    return complaint.rpartition("TIFF_Error ")[2].removeprefix("Corrupt JPEG data: ")


def _to_gray(decoded: _Pixels) -> tuple[NDArray[np.uint16], float, tuple[str, ...]]:
    """Gray plane uint16, colour spread in 1/255, and what had to be mended."""
    if decoded.ndim == 2 or decoded.shape[2] == 1:
        return decoded.reshape(decoded.shape[:2]).astype(np.uint16), 0.0, ()
    colours, warnings = _without_alpha(decoded)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY).astype(np.uint16), _colour_spread(colours), warnings


def _without_alpha(decoded: _Pixels) -> tuple[_Pixels, tuple[str, ...]]:
    if decoded.shape[2] == 3:
        return decoded, ()
    full = int(np.iinfo(decoded.dtype).max)
    colours, alpha = decoded[..., :3], decoded[..., 3:]
    if int(alpha.min()) == full:
        return np.ascontiguousarray(colours), ()
    covered = np.empty_like(colours, order="C")
    for top in range(0, decoded.shape[0], _BAND_ROWS):  # a whole plate in floats takes gigabytes
        rows = slice(top, top + _BAND_ROWS)
        covered[rows] = np.rint(colours[rows] * (alpha[rows].astype(np.float32) / full))
    return covered, ("Transparent areas of the image were read as black.",)


def _colour_spread(colours: _Pixels) -> float:
    step = max(1, int(np.sqrt(colours.shape[0] * colours.shape[1] / _COLOUR_SAMPLE_PX)))
    sample = colours[::step, ::step].astype(np.float32)
    unit = 255.0 / float(np.iinfo(colours.dtype).max)
    return float(np.mean(sample.max(axis=2) - sample.min(axis=2)) * unit)
