"""What a raster file's header declares, found without a decoder; and how a picture is turned upright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1


@dataclass(frozen=True)
class RasterHeader:
    """Declared size before rotation, bits a sample (8 or 16), and EXIF orientation 1 to 8.

    white_is_zero: stored values fall with brightness (TIFF only).
    """

    height_px: int
    width_px: int
    bits: int
    orientation: int = UPRIGHT
    white_is_zero: bool = False


def turn_upright(plane: NDArray[np.uint16], orientation: int) -> NDArray[np.uint16]:
    """Apply an EXIF/TIFF orientation (1 to 8; anything else counts as 1) to an (H, W) plane."""
    turned = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.T,
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].T,
        8: lambda p: np.rot90(p, 1),
    }.get(orientation, lambda p: p)(plane)
    return np.ascontiguousarray(turned)
