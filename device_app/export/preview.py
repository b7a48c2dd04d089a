"""What an administrator looks at: the pixels that would leave, with the places of writing marked.

Twice in one picture, so that nobody sees the one without the other: from the darkest to the brightest value,
and with each value told by its rank among those around it, where writing shows that is one gray level off.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device_app.export.prepared import Prepared
from device_app.pictures import SCREEN_SIDE_PX
from runtime.burned_in import Corners

SIDES_PX = {"small": 640, "large": SCREEN_SIDE_PX}
"""Of each of the two."""
GAP_PX = 8
_BLANKED, _OVER = (255, 196, 92), (64, 64, 255)  # blue, green, red
_TILES = 16
"""Along the long side: a tile is larger than a letter, and its anatomy has few of all values."""
_HIGHEST = 65535
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 3]


def preview_png(prepared: Prepared, kind: str) -> bytes:
    """kind: of SIDES_PX. Blanked places have a thin frame, writing that is still there has a thick one.

    Neither the file's window nor any other leaves out a value: it might hide what is there.
    """
    pixels = prepared.radiograph.pixels
    both = [
        _framed(_shown(values, SIDES_PX[kind]), prepared)
        for values in (_whole_range(pixels), _ranked(pixels))
    ]
    done, png = cv2.imencode(".png", _side_by_side(*both), _PNG_OPTIONS)
    if not done:
        raise ValueError(f"no PNG can be made of an array of shape {pixels.shape}")
    return bytes(png)


def _whole_range(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """(H, W) uint16, the darkest value 0 and the brightest the highest there is."""
    return np.asarray(cv2.normalize(pixels, None, 0, _HIGHEST, cv2.NORM_MINMAX), np.uint16)


def _ranked(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """(H, W) uint16, the share of darker values around each and half the share of equal ones.

    An even ground is thus in the middle, and what is off by one level stands out both ways. Equalised alone,
    writing a little brighter than its ground would stay next to white.
    """
    height, width = pixels.shape
    tile_px = max(1.0, max(height, width) / _TILES)
    grid = (max(1, round(width / tile_px)), max(1, round(height / tile_px)))
    equalise = cv2.createCLAHE(clipLimit=0, tileGridSize=grid).apply
    at_most, not_below = equalise(pixels), _HIGHEST - equalise(_HIGHEST - pixels)
    return np.asarray(cv2.addWeighted(at_most, 0.5, not_below, 0.5, 0), np.uint16)


def _shown(values: NDArray[np.uint16], side_px: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8. Made smaller last: before, what is one level off would be rounded away."""
    height, width = values.shape
    scale = min(1.0, side_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA) if scale < 1 else values
    gray = cv2.convertScaleAbs(small, alpha=255 / _HIGHEST)
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), np.uint8)


def _framed(shown: NDArray[np.uint8], prepared: Prepared) -> NDArray[np.uint8]:
    scale = shown.shape[1] / prepared.radiograph.width_px
    for boxes, colour, thick in ((prepared.blanked, _BLANKED, 1), (prepared.over, _OVER, 3)):
        for box in boxes:
            _frame(shown, box, scale, colour, thick)
    return shown


def _side_by_side(plain: NDArray[np.uint8], ranked: NDArray[np.uint8]) -> NDArray[np.uint8]:
    beside = plain.shape[0] >= plain.shape[1]
    gap = np.zeros((plain.shape[0], GAP_PX, 3) if beside else (GAP_PX, plain.shape[1], 3), np.uint8)
    return np.concatenate([plain, gap, ranked], axis=1 if beside else 0)


def _frame(
    shown: NDArray[np.uint8], box: Corners, scale: float, colour: tuple[int, int, int], thick: int
) -> None:
    first, last = (
        (round(box[0] * scale), round(box[1] * scale)),
        (round(box[2] * scale), round(box[3] * scale)),
    )
    cv2.rectangle(shown, first, last, colour, thick)
