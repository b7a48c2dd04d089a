"""What the exported network makes of familiar radiographs, as statistics by which strange ones are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.anomaly import SeenFeatures, fit_statistics, shares
from compress.artifact import Artifact, StepOutput
from compress.datasets.base import Case
from compress.datasets.progress import Progress, silent
from compress.datasets.tensors import TensorCache
from compress.options.anomaly import AnomalyOptions
from runtime.anomaly import AnomalyDetector, AnomalyLimits, FeatureStatistics
from runtime.backends.base import FEATURES_NAME, Backend, ModelFiles
from runtime.backends.feeds import image_alone
from runtime.backends.registry import open_backend

STATISTICS_FILE = "anomaly.npz"
_BATCH = 8


@dataclass(frozen=True)
class FamiliarCases:
    """fit: the statistics are of these. calibration: the unit of distance. gate: false alarms are counted."""

    fit: Sequence[Case]
    calibration: Sequence[Case]
    gate: Sequence[Case]


def limits_of(options: AnomalyOptions) -> AnomalyLimits:
    """As a bundle's manifest says them."""
    return AnomalyLimits(STATISTICS_FILE, options.warn_above, options.refuse_above)


def detector_of(statistics: Artifact, options: AnomalyOptions) -> AnomalyDetector:
    """What a finished step fitted."""
    return AnomalyDetector(FeatureStatistics.from_bytes(statistics.path.read_bytes()), limits_of(options))


def fit_anomaly(
    model: bytes,
    folder: Path,
    tensors: TensorCache,
    cases: FamiliarCases,
    options: AnomalyOptions,
    progress: Progress = silent,
) -> StepOutput:
    """Write `anomaly.npz` for an exported ONNX model that gives features.

    facts: features, parts, quantile, and the shares of each set that would be warned of and refused. Raises
    StepError for too few images.
    """
    seen = _look(model, tensors, cases, progress)
    statistics = fit_statistics(seen["fit"], seen["calibration"], options.quantile)
    (folder / STATISTICS_FILE).write_bytes(statistics.to_bytes())
    limits = limits_of(options)
    facts: dict[str, Any] = {
        "features": int(seen["fit"].features.shape[1]),
        "parts": list(statistics.parts),
        "quantile": options.quantile,
        "shares": {name: shares(statistics, limits, features) for name, features in seen.items()},
    }
    return StepOutput(STATISTICS_FILE, "statistics", facts=facts)


def strangeness(
    opener: Callable[[], Backend], detector: AnomalyDetector, tensors: TensorCache, cases: Sequence[Case]
) -> NDArray[np.float64]:
    """(N,) distance of each picture to one engine, as a share of the one that is refused.

    Each engine rounds features in its own way.
    """
    backend = opener()
    try:
        features = [
            backend.infer(image_alone(backend.inputs, tensors.tensor(case)))[FEATURES_NAME][0]
            for case in cases
        ]
    finally:
        backend.close()
    return np.array([detector.look(seen).distance for seen in features]) / detector.limits.refuse_above


def _look(
    model: bytes, tensors: TensorCache, cases: FamiliarCases, progress: Progress
) -> dict[str, SeenFeatures]:
    total, done = sum(len(group) for group in vars(cases).values()), 0
    backend = open_backend("onnxruntime", ModelFiles(model))
    found = {}
    try:
        for name, group in vars(cases).items():
            batches = []
            for start in range(0, len(group), _BATCH):
                batch = tensors.stack(group[start : start + _BATCH])
                batches.append(backend.infer(image_alone(backend.inputs, batch))[FEATURES_NAME])
                progress(done := done + len(batch), total)
            found[name] = SeenFeatures(np.concatenate(batches), np.array([case.body_part for case in group]))
    finally:
        backend.close()
    return found
