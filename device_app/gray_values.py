"""The stored gray values for a browser that windows them itself, and what it must know to show them.

The form: each row as its difference to the row above (the first to zero), modulo 2**16, the sign folded
into the lowest bit (0, -1, 1, -2 ... become 0, 1, 2, 3 ...), all low bytes before all high bytes, gzip.
Neighbouring rows of a radiograph differ by little, so the high bytes are nearly all zero; a browser inflates
it by itself and adds the rows up again in one pass. It is smaller and several times faster to write than a
PNG of two channels, and no canvas lies between the bytes and the values: some browsers change what a canvas
gives back.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from device_app.pictures import SCREEN_SIDE_PX, reduced, window_of
from runtime.radiograph import Radiograph, SpacingOrigin

_GZIP, _LEVEL, _MEMORY = 31, 1, 9
_MOST_OBLONG = 4.0
"""Pixels more oblong than this are an error of the file, and are drawn square."""


@dataclass(frozen=True)
class ViewFacts:
    """What the viewer must know of a picture beside its values. Nothing here names the patient.

    width_px, height_px: of the file's picture, in which boxes and lengths are counted. values_width_px,
    values_height_px: of the values, at most the screen's side. low, high: the window shown first.
    least, most: of the values. row_mm, column_mm: distance of two neighbouring rows and of two columns as the
    file states it, None for a file that does not. spacing_origin: where that holds, "" for no spacing and for
    a picture that was read before this was stored.
    """

    width_px: int
    height_px: int
    values_width_px: int
    values_height_px: int
    low: float
    high: float
    least: int
    most: int
    row_mm: float | None = None
    column_mm: float | None = None
    spacing_origin: str = ""

    @property
    def aspect(self) -> float:
        """A pixel's height as a multiple of its width; 1 where the file says nothing or nothing credible."""
        if not self.row_mm or not self.column_mm:
            return 1.0
        ratio = self.row_mm / self.column_mm
        return ratio if 1 / _MOST_OBLONG <= ratio <= _MOST_OBLONG else 1.0

    def to_json(self) -> bytes:
        """As it lies beside the pictures."""
        return json.dumps(asdict(self), allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ViewFacts:
        """Raises ValueError for anything but what `to_json` wrote."""
        table = json.loads(data)
        if not isinstance(table, dict):
            raise ValueError("the facts of a picture are no table")
        origin = table.setdefault("spacing_origin", "")
        if set(table) != {field.name for field in fields(cls)} or origin not in ("", *SpacingOrigin):
            raise ValueError("the facts of a picture have other fields than expected")
        numbers = [table[name] for name in _NUMBERS if table[name] is not None or name not in _OPTIONAL]
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
            raise ValueError("a fact of a picture is no finite number")
        found = cls(**table)
        if min(found.width_px, found.height_px, found.values_width_px, found.values_height_px) < 1:
            raise ValueError("a picture without pixels")
        return found


_OPTIONAL = ("row_mm", "column_mm")
_NUMBERS = tuple(field.name for field in fields(ViewFacts) if field.name != "spacing_origin")


def view_facts(radiograph: Radiograph, side_px: int = SCREEN_SIDE_PX) -> ViewFacts:
    """Of a picture whose values are stored with long side at most `side_px`."""
    width, height = reduced(radiograph, side_px)
    low, high = window_of(radiograph)
    said = radiograph.facts
    rows_mm, columns_mm = said.pixel_spacing_mm or (None, None)
    origin = said.spacing_origin if said.spacing_origin in tuple(SpacingOrigin) else SpacingOrigin.STATED
    return ViewFacts(
        width_px=radiograph.width_px,
        height_px=radiograph.height_px,
        values_width_px=width,
        values_height_px=height,
        low=float(low),
        high=float(high),
        least=int(radiograph.pixels.min()),
        most=int(radiograph.pixels.max()),
        row_mm=rows_mm,
        column_mm=columns_mm,
        spacing_origin=str(origin) if said.pixel_spacing_mm else "",
    )


def pack(values: NDArray[np.uint16]) -> bytes:
    """Values (H, W) uint16 in the form that this module's head describes."""
    steps = values.copy()
    steps[1:] -= values[:-1]
    signed = steps.view(np.int16)
    folded = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    # Low bytes hardly repeat and high ones are runs of zeros: looking for runs alone is fast and as small.
    squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, _MEMORY, zlib.Z_RLE)
    low, high = folded.astype(np.uint8), (folded >> 8).astype(np.uint8)
    return squeeze.compress(low.tobytes()) + squeeze.compress(high.tobytes()) + squeeze.flush()


def unpack(data: bytes, width_px: int, height_px: int) -> NDArray[np.uint16]:
    """What `pack` was given. Raises ValueError for data of another size."""
    plain = np.frombuffer(zlib.decompress(data, _GZIP), np.uint8)
    if plain.size != 2 * width_px * height_px:
        raise ValueError(f"{plain.size} bytes, expected {2 * width_px * height_px}")
    low, high = plain.reshape(2, height_px, width_px).astype(np.uint16)
    folded = low | (high << 8)
    steps = (folded >> 1) ^ (0 - (folded & 1))
    values: NDArray[np.uint16] = np.cumsum(steps, axis=0, dtype=np.uint16)
    return values
