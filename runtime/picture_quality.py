"""How well a picture was taken and kept: clipping, noise, sharpness, compression, size. Pure.

Noise and sharpness are those of a copy of about 512 px, near to what a network sees of the picture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.appearance import Copies, Unit, ratio, share
from runtime.fields import count_fields, exposed
from runtime.quantiles import quantiles
from runtime.radiograph import Radiograph

_WHITE, _BLACK = 0.994, 0.03
_NO_AIR = 0.3
_AIR, _METAL = 0.08, 0.98
"""Between them lies what rays went through; noise elsewhere hides no bone."""
_FEWEST_PX = 500
_MAD_OF_NORMAL = 0.6745
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_IMMERKAER_GAIN = 6.0  # spread of that filter's answer to noise of spread 1
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
_FAR = 3
_BLOCK_PX = 8
_WINDOW_PX = 768
_LINE_STEP = 4
_DIGITS = 4
Planes = dict[tuple[int, int], Unit]


@dataclass(frozen=True)
class PictureQuality:
    """What was measured of a picture and matters to its reader.

    gray_levels: stored levels between the 0.5th and 99.5th percentile. white_share, black_share: parts of the
    picture at those ends of them, white without the bars that a collimator leaves at the edges. noise: spread
    of pixel noise, as a share of the gray levels. sharpness: detail of about 1 px over detail of about 2 px.
    sharpness_one_way: curvature over 1 px by that over 3 px, in the direction in which that is least, as
    motion makes it. blocking: step at the borders of JPEG's blocks over that elsewhere, as a share of the
    gray levels. fields: limbs or exposures side by side, 1 or 2. short_side_px: of the file.
    """

    gray_levels: int
    white_share: float
    black_share: float
    noise: float
    sharpness: float
    sharpness_one_way: float
    blocking: float
    fields: int
    short_side_px: int

    def to_json(self) -> dict[str, Any]:
        """JSON-safe, fractions to four digits."""
        return {
            name: round(value, _DIGITS) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Detail:
    """What is measured of the fine copy alone; see PictureQuality."""

    noise: float
    sharpness: float
    sharpness_one_way: float


def measure_detail(copies: Copies) -> Detail:
    """The part of the work that needs nothing but the fine copy, so that another thread can do it."""
    unit = copies.fine
    return Detail(_noise(unit), _sharpness(unit), _sharpness_one_way(unit))


def measure_quality(radiograph: Radiograph, copies: Copies, detail: Detail) -> PictureQuality:
    """All of it for one picture."""
    return PictureQuality(
        gray_levels=round(copies.levels),
        white_share=_white_share(copies.small),
        black_share=share(copies.fine < _BLACK),
        noise=detail.noise,
        sharpness=detail.sharpness,
        sharpness_one_way=detail.sharpness_one_way,
        blocking=_blocking(radiograph.pixels, copies.levels),
        fields=count_fields(copies.small),
        short_side_px=min(radiograph.height_px, radiograph.width_px),
    )


def _white_share(unit: Unit) -> float:
    field = unit[exposed(unit > _NO_AIR)]
    return share(field >= _WHITE) if field.size else 1.0


def _noise(unit: Unit) -> float:
    """Immerkaer's estimate with a median, which edges of bones do not move; 0 where little is exposed."""
    answer = cv2.filter2D(unit, -1, _IMMERKAER)[::2]  # every other row tells as much
    irradiated = (unit[::2] > _AIR) & (unit[::2] < _METAL)
    if np.count_nonzero(irradiated) < _FEWEST_PX:
        return 0.0
    return quantiles(np.abs(answer[irradiated]), 0.5)[0] / (_MAD_OF_NORMAL * _IMMERKAER_GAIN)


def _sharpness(unit: Unit) -> float:
    fine, coarse = (cv2.GaussianBlur(unit, (0, 0), sigma_px) for sigma_px in (0.8, 1.6))
    return ratio(float((unit - fine).std()), float((fine - coarse).std()))


def _sharpness_one_way(unit: Unit) -> float:
    """The longer steps of a knight's move see more detail by themselves; they are put on one scale."""
    if min(unit.shape) <= 4 * _FAR * 2:
        return 1.0  # a strip has too little inside to say that anything moved
    planes = {(y, x): np.ascontiguousarray(unit[y::2, x::2]) for y in (0, 1) for x in (0, 1)}
    return min(_curvature_ratio(planes, unit.shape, way) / _length(way) for way in _WAYS)


def _length(way: tuple[int, int]) -> float:
    return {1: 1.0, 2: 1.3, 5: 2.0}[way[0] ** 2 + way[1] ** 2]


def _curvature_ratio(planes: Planes, shape: tuple[int, ...], way: tuple[int, int]) -> float:
    near, far = (
        float(cv2.meanStdDev(_curvature(planes, shape, (n * way[0], n * way[1])))[1][0, 0]) for n in (1, _FAR)
    )
    return ratio(near, far)


def _curvature(planes: Planes, shape: tuple[int, ...], step: tuple[int, int]) -> Unit:
    """Second difference at every other row and column of the inside.

    planes: the picture's even and odd rows and columns apart, so that what is read lies together.
    """
    edge = 2 * _FAR
    rows, columns = ((side - 2 * edge + 1) // 2 for side in shape)

    def moved(sign: int) -> Unit:
        y, x = edge + sign * step[0], edge + sign * step[1]
        return planes[y % 2, x % 2][y // 2 : y // 2 + rows, x // 2 : x // 2 + columns]

    return moved(1) - 2 * moved(0) + moved(-1)


def _blocking(pixels: NDArray[np.uint16], levels: float) -> float:
    """Mean of rows and columns, of a window in the middle at full size: blocks do not survive reduction."""
    top, left = (max(0, (side - _WINDOW_PX) // 2) for side in pixels.shape)
    window = pixels[top : top + _WINDOW_PX, left : left + _WINDOW_PX]
    if min(window.shape) < 4 * _BLOCK_PX:
        return 0.0
    lines = (window[::_LINE_STEP], window.T[::_LINE_STEP])
    return float(np.mean([_block_step(part.astype(np.float32)) for part in lines])) / levels


def _block_step(lines: NDArray[np.float32]) -> float:
    """(N, L): how much larger the step over every eighth border is than over its neighbours."""
    step = np.abs(np.diff(lines, axis=1))
    excess = (step[:, 1:-1] - 0.5 * (step[:, :-2] + step[:, 2:])).mean(axis=0)
    phases = np.array([excess[phase::_BLOCK_PX].mean() for phase in range(_BLOCK_PX)])
    strongest = float(phases.max())
    return strongest - (float(phases.sum()) - strongest) / (_BLOCK_PX - 1)
