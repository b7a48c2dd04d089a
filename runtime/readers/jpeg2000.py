"""A JPEG 2000 codestream (ITU-T T.800): what it declares, and its decoding by OpenCV.

Both OpenCV and GDCM decode with OpenJPEG and give the same values; OpenCV takes a third of GDCM's memory and
three quarters of its time, and refuses what is signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.readers import raster
from runtime.readers.complaints import caught

_SIZE = re.compile(rb"\xff\x4f\xff\x51.{4}(.{4})(.{4})(.{4})(.{4}).{16}\x00\x01(.)", re.DOTALL)
_SIGNED = 0x80
_COMPLAINT = "errorLogCallback"  # the function of OpenCV that passes on what OpenJPEG says


@dataclass(frozen=True)
class Codestream:
    """Of one component."""

    rows: int
    columns: int
    signed: bool


def declared(frame: bytes) -> Codestream | None:
    """The SIZ marker segment (A.5.1); None without one, or for several components."""
    found = _SIZE.search(frame)
    if found is None:
        return None
    x1, y1, x0, y0 = (int.from_bytes(found[place], "big") for place in range(1, 5))
    return Codestream(y1 - y0, x1 - x0, bool(found[5][0] & _SIGNED))


def decode(frame: bytes) -> NDArray[np.uint8 | np.uint16] | None:
    """(H, W) as stored; None where OpenCV cannot, complaining or not."""
    with caught() as complaints:
        try:
            values = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            if error.code == raster.OPENCV_OUT_OF_MEMORY:
                raise MemoryError from error
            values = None
    if values is None or any(_COMPLAINT in line for line in complaints):
        return None
    return np.asarray(values) if values.dtype in (np.uint8, np.uint16) else None
