"""How far apart the pixels of a DICOM radiograph are, and where that holds (PS3.3, 10.7 and C.8.11).

A radiograph is a shadow: at the detector everything is larger than in the patient, the more the farther the
bone lies from it. A length is only as good as what the file says about that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runtime.radiograph import Spacing, SpacingOrigin

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ALIKE_WITHIN = 1e-3
"""Of one another: files round the same spacing to different digits."""
_MOST_MAGNIFIED = 3.0
"""A factor beyond this puts the patient far nearer to the tube than to the detector: no estimate."""
_CALIBRATED = {"FIDUCIAL": SpacingOrigin.CALIBRATED, "GEOMETRY": SpacingOrigin.CORRECTED}


def spacing(dataset: Dataset) -> Spacing | None:
    """What the file states, corrected for magnification where it says by how much; None for nothing."""
    stated, imager = _pair(dataset, "PixelSpacing"), _pair(dataset, "ImagerPixelSpacing")
    scanned = _pair(dataset, "NominalScannedPixelSpacing")
    if stated is not None and (origin := _corrected(dataset, stated, imager or scanned)):
        return Spacing(*stated, origin)
    if imager is not None:
        return _at_detector(dataset, imager)
    if scanned is not None:
        return Spacing(*scanned, SpacingOrigin.FILM)
    return None if stated is None else Spacing(*stated, SpacingOrigin.STATED)


def _corrected(
    dataset: Dataset, stated: tuple[float, float], raw: tuple[float, float] | None
) -> SpacingOrigin | None:
    """Where Pixel Spacing holds if not where the raw spacing does; None if it is that, or nobody knows."""
    kind = _CALIBRATED.get(_text(dataset, "PixelSpacingCalibrationType").strip().upper())
    if kind is not None:
        return kind
    if raw is None or all(map(_alike, stated, raw)):
        return None
    # A shadow is never smaller than what throws it: a larger spacing comes of pixels that were put together.
    is_larger = any(one > other for one, other in zip(stated, raw, strict=True))
    return SpacingOrigin.STATED if is_larger else SpacingOrigin.CORRECTED


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_ALIKE_WITHIN)


def _at_detector(dataset: Dataset, imager: tuple[float, float]) -> Spacing:
    """A factor of exactly one is what is written where nobody estimated it."""
    factor = _number(dataset, "EstimatedRadiographicMagnificationFactor")
    if factor is not None and 1 < factor <= _MOST_MAGNIFIED:
        return Spacing(imager[0] / factor, imager[1] / factor, SpacingOrigin.CORRECTED)
    return Spacing(*imager, SpacingOrigin.DETECTOR)


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "")
    except Exception:  # malformed: pydicom raises anything on access
        return ""


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        value = float(dataset.get(keyword))
    except Exception:  # absent or malformed
        return None
    return value if math.isfinite(value) else None


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    try:
        first, second = (float(value) for value in dataset.get(keyword) or ())
    except Exception:  # absent or malformed
        return None
    return (first, second) if all(0 < value < math.inf for value in (first, second)) else None
