"""A classical baseline as a step: data in, one ONNX graph out, with the doors of every network.

The features are computed by ONNX Runtime from the very graph that ships. scikit-learn's objects live in
memory only: nothing is pickled, and no such file is ever read.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.classical.builders import Built, Task, build_forest, build_kmeans, build_logistic_regression
from compress.classical.extract import Counter
from compress.classical.features import CellFeatures
from compress.classical.options import ClassicalOptions
from compress.datasets.progress import Progress, silent
from compress.predictions import sigmoid
from compress.steps.graph import summarize
from compress.training.data import LabelledTensors, TrainData
from compress.training.history import auroc
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import ExportMismatchError, StepError

MODEL_FILE = "model.onnx"
TOLERANCE = 1e-3
_CHECKED_IMAGES = 32
_BUILDERS = {
    "kmeans": build_kmeans,
    "random_forest": build_forest,
    "gradient_boosting": build_forest,
    "logistic_regression": build_logistic_regression,
}


def train_classical(
    options: ClassicalOptions, data: TrainData, seed: int, folder: Path, progress: Progress = silent
) -> StepOutput:
    """Fit on the fit patients, scale on the calibration patients, write `model.onnx` into `folder`.

    progress: told (done, all) images. facts: what was fitted, sizes, the scale of the logit, AUROC on the
    calibration patients, parity with scikit-learn and seconds. Raises StepError for data that nothing can be
    learned from, ExportMismatchError where the graph answers otherwise than scikit-learn.
    """
    started = time.monotonic()
    for name, part in (("fit", data.fit), ("calibration", data.calibration)):
        _require_both_classes(name, part)
    features = CellFeatures(options.features, data.preprocess)
    passes = len(data.fit) + len(data.calibration)
    passes += 0 if options.name == "logistic_regression" else len(data.fit)
    task = Task(options, data, seed, features, Counter(progress, passes))
    built = _BUILDERS[options.name](task)
    path = folder / MODEL_FILE
    path.write_bytes(built.model.SerializeToString(deterministic=True))
    parity = measure_parity(path.read_bytes(), data.calibration, built)
    seconds = round(time.monotonic() - started, 2)
    return StepOutput(MODEL_FILE, "onnx", facts=_facts(task, built, parity) | {"seconds": seconds})


@dataclass(frozen=True)
class Parity:
    """Largest difference between the graph and scikit-learn over `images` calibration images."""

    logit: float
    probability: float
    images: int


def measure_parity(model: bytes, data: LabelledTensors, built: Built) -> Parity:
    """Run the graph as the box will, one image at a time. Raises ExportMismatchError above TOLERANCE."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(_CHECKED_IMAGES, len(data))).round().astype(int))
    backend = OrtBackend(ModelFiles(model))
    images = (np.ascontiguousarray(data.tensors[row][None]) for row in rows)
    got = np.array([backend.infer({INPUT_NAME: image})[LOGIT_NAME][0, 0] for image in images], np.float64)
    wanted = built.logits[rows]
    parity = Parity(_largest(got - wanted), _largest(sigmoid(got) - sigmoid(wanted)), len(rows))
    if not parity.probability <= TOLERANCE:
        raise ExportMismatchError(
            f"the graph's probability differs from scikit-learn's by {parity.probability:.3g}, "
            f"allowed {TOLERANCE:g}",
            "do not ship this graph; another version of skl2onnx may convert it rightly",
        )
    return parity


def _largest(differences: NDArray[np.float64]) -> float:
    return float(np.abs(differences).max())


def _require_both_classes(name: str, part: LabelledTensors) -> None:
    fractured = int((part.labels > 0.5).sum())
    if not 0 < fractured < len(part):
        raise StepError(
            f"the {name} set must hold fractured and healthy images, "
            f"{fractured} of its {len(part)} are fractured",
            "bring more patients, or give that set a larger share",
        )


def _facts(task: Task, built: Built, parity: Parity) -> dict[str, Any]:
    labels = task.data.calibration.labels
    return {
        "name": task.options.name,
        "features": dict(zip(task.options.features, task.features.descriptor_widths, strict=True)),
        "cells": task.side_cells,
        **built.facts,
        "images": {"fit": len(task.data.fit), "calibration": len(labels)},
        "calibration_auroc": round(auroc(built.logits, labels), 4),
        "parity": asdict(parity),
        "parity_tolerance": TOLERANCE,
        "graph": summarize(built.model).to_json(),
        "size_bytes": built.model.ByteSize(),
    }
