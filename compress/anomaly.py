"""Fits what tells strange pictures from familiar ones: statistics of features. Pure.

One covariance of all body parts together, each about its own mean, shrunk since there are few radiographs for
so many features (Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
matrices"). Which distance counts as far is read off patients that the covariance has not seen.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from runtime.anomaly import AnomalyLimits, FeatureStatistics
from runtime.errors import StepError

ANY_PART = "any"
_LEAST_OF_A_PART = 20
_LEAST = 32
_SMALLEST_UNIT = 1e-12
_FLAT = 1e-6  # of the largest spread: a feature that hardly varies tells nothing and must not be blown up


@dataclass(frozen=True, eq=False)
class SeenFeatures:
    """features: (N, F) float32. parts: (N,) body parts."""

    features: NDArray[np.float32]
    parts: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.features)


def require_enough_images(fit: int, calibration: int) -> None:
    """Raise StepError where statistics of so few images would say nothing."""
    if min(fit, calibration) < _LEAST:
        raise StepError(
            f"anomaly statistics need {_LEAST} fit and calibration images, got {fit} and {calibration}",
            "bring more, or leave them out with [anomaly] quantile = 0",
        )


def fit_statistics(fit: SeenFeatures, calibration: SeenFeatures, quantile: float) -> FeatureStatistics:
    """Statistics in whose unit a share `quantile` of the calibration images lies nearer than 1.

    A body part with too few images has no mean of its own; with none left, all images share one.
    Raises StepError for too few images.
    """
    require_enough_images(len(fit), len(calibration))
    parts = _parts(fit.parts)
    centres = np.stack([fit.features[_of(fit, part)].mean(axis=0, dtype=np.float64) for part in parts])
    about = np.concatenate(
        [fit.features[_of(fit, part)] - centre for part, centre in zip(parts, centres, strict=True)]
    )
    whitening = _whitening(about)
    unscaled = _statistics(parts, whitening, centres)
    unit = float(np.quantile(nearest(unscaled, calibration), quantile))
    return _statistics(parts, whitening / math.sqrt(max(unit, _SMALLEST_UNIT)), centres)


def _statistics(
    parts: tuple[str, ...], whitening: NDArray[np.float64], centres: NDArray[np.float64]
) -> FeatureStatistics:
    return FeatureStatistics(parts, whitening.astype(np.float32), (centres @ whitening.T).astype(np.float32))


def nearest(statistics: FeatureStatistics, seen: SeenFeatures) -> NDArray[np.float64]:
    """(N,) distance of each image to its nearest part."""
    return np.asarray(statistics.distances(seen.features).min(axis=1))


def shares(statistics: FeatureStatistics, limits: AnomalyLimits, seen: SeenFeatures) -> dict[str, float]:
    """Shares of these images that would be warned of and refused."""
    far = nearest(statistics, seen)
    return {
        "warned": float((far > limits.warn_above).mean()),
        "refused": float((far > limits.refuse_above).mean()),
    }


def _parts(parts: NDArray[np.str_]) -> tuple[str, ...]:
    counts = Counter(parts.tolist())
    return tuple(sorted(part for part, count in counts.items() if count >= _LEAST_OF_A_PART)) or (ANY_PART,)


def _of(seen: SeenFeatures, part: str) -> NDArray[np.bool_]:
    return np.ones(len(seen), bool) if part == ANY_PART else np.asarray(seen.parts == part)


def _whitening(about: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, F) matrix W with W^T W the inverse covariance of `about` (N, F)."""
    spread = about.std(axis=0)
    unit = np.where(spread > _FLAT * spread.max(), spread, np.inf)
    precision = LedoitWolf(assume_centered=True).fit(about / unit).precision_
    return np.asarray(np.linalg.cholesky(precision).T / unit)
