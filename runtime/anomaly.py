"""How unlike the radiographs of the training a picture is, told by the network's own intermediate features.

The measure is the squared Mahalanobis distance to the nearest of several class means under one covariance
(Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
Attacks"); the classes are body parts. It is given in units of what nearly all radiographs of the calibration
patients stay below, so that 1 reads the same for every network. Pure: arrays in, judgement out.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BundleFormatError, InferenceError

DECLARED = 1.5
"""How much further a radiograph may lie that was declared one. Of the real CR files at hand, by other makers
than the reference model's, hand, hip and leg lie at 1.2 to 2.4 of a limit of 2, a chest at 3.6."""
_CLEARLY_NEARER = 0.5
"""In units of what is usual. Of 197 radiographs of FracAtlas every inverse lies at least 0.57 further away
than the picture; of real CR files of other makers no inverse is usual, and none nearer by more than 0.5."""
_WHITENING, _CENTRES, _PARTS = "whitening", "centres", "parts"


@dataclass(frozen=True)
class AnomalyLimits:
    """What the manifest says: the file of the statistics, and from which distances to warn and to refuse.

    Raises ValueError for limits that are no rising positive numbers.
    """

    file: str
    warn_above: float = 1.0
    refuse_above: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.warn_above <= self.refuse_above < math.inf):
            raise ValueError(
                f"warn_above and refuse_above must rise and be positive, got {self.warn_above:g}, "
                f"{self.refuse_above:g}"
            )


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """parts: (C,) names of the classes. whitening: (k, F) float32. centres: (C, k) float32, whitened.

    Raises ValueError for shapes that do not belong together and for values that are not finite.
    """

    parts: tuple[str, ...]
    whitening: NDArray[np.float32]
    centres: NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes = self.whitening.shape, self.centres.shape
        fits = len(shapes[0]) == 2 and shapes[1] == (len(self.parts), shapes[0][0]) and min(shapes[1]) > 0
        if not fits:
            raise ValueError(f"statistics of {len(self.parts)} parts cannot have the shapes {shapes}")
        if not (np.isfinite(self.whitening).all() and np.isfinite(self.centres).all()):
            raise ValueError("statistics hold values that are not finite")

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, F) -> (N, C): to each class."""
        whitened = features.astype(np.float64) @ self.whitening.T.astype(np.float64)
        apart = whitened[:, None] - self.centres[None].astype(np.float64)
        return np.asarray(np.square(apart).sum(axis=2))

    def to_bytes(self) -> bytes:
        """As a file of a bundle (.npz)."""
        buffer = io.BytesIO()
        arrays = {_WHITENING: self.whitening, _CENTRES: self.centres, _PARTS: np.array(self.parts)}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureStatistics:
        """The same back; nothing in such a file is run. Raises BundleFormatError."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                parts = tuple(str(part) for part in arrays[_PARTS].tolist())
                whitening, centres = arrays[_WHITENING], arrays[_CENTRES]
            return cls(parts, whitening.astype(np.float32), centres.astype(np.float32))
        except Exception as error:  # numpy, zipfile, zlib and ast each have errors of their own
            raise BundleFormatError(f"the anomaly statistics cannot be read: {error}") from error


@dataclass(frozen=True)
class Familiarity:
    """distance: to the nearest class. part: which one that is."""

    distance: float
    part: str


@dataclass(frozen=True, eq=False)
class AnomalyDetector:
    """Statistics and limits of one bundle."""

    statistics: FeatureStatistics
    limits: AnomalyLimits

    def look(self, features: NDArray[np.float32]) -> Familiarity:
        """(F,) features of one picture. Raises InferenceError for another number of them."""
        expected = self.statistics.whitening.shape[1]
        if features.shape != (expected,):
            raise InferenceError(
                f"the network gave features of shape {features.shape}, expected ({expected},)"
            )
        distances = self.statistics.distances(features[None])[0]
        nearest = int(np.argmin(distances))
        return Familiarity(float(distances[nearest]), self.statistics.parts[nearest])

    def is_strange(self, seen: Familiarity, declared: bool = False) -> bool:
        """Whether the network must not answer for this picture.

        declared: whether the X-ray system itself says that this is a projection radiograph. Other makers'
        detectors and processing lie further away than the training's own; what the statistics must still
        tell there is another part of the body, not a photograph.
        """
        return not seen.distance <= self.limits.refuse_above * (DECLARED if declared else 1.0)

    def is_unusual(self, seen: Familiarity) -> bool:
        """Whether the answer deserves a warning."""
        return not seen.distance <= self.limits.warn_above

    def is_inverted(self, seen: Familiarity, inverse: Familiarity) -> bool:
        """Whether bone is dark in a picture that was seen so, and whose inverse was seen otherwise.

        The picture itself must be unusual and its inverse usual, by a clear step.
        """
        nearer = seen.distance - inverse.distance >= _CLEARLY_NEARER * self.limits.warn_above
        return self.is_unusual(seen) and not self.is_unusual(inverse) and nearer
