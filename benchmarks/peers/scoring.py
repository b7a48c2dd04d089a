"""How good a model is that a tool has handed over: by its own engine, on the validation images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGIT = "logit"
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def auroc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """0 where only one label is there, as when a tool tries the function out. Raises ValueError for NaN."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores)) if len(set(labels.tolist())) > 1 else 0.0


def figures(path: Path, images: NDArray[np.float32], labels: NDArray[np.int64], threshold: float) -> Any:
    """(AUROC, sensitivity at the threshold, a probability); (None, None) where it answers no number."""
    run = _openvino(path) if path.suffix == ".xml" else _onnxruntime(path)
    logits = np.array([run(image[None]).reshape(-1)[0] for image in images], np.float64)
    if not np.isfinite(logits).all():
        return None, None
    above = logits >= np.log(threshold / (1 - threshold))
    return auroc(labels, logits), float(above[labels == 1].mean())


def _onnxruntime(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    name = LOGIT if LOGIT in names else names[0]
    source = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run([name], {source: image})[0])


def _openvino(path: Path) -> Run:
    import openvino

    model = openvino.Core().compile_model(str(path), "CPU")
    output = model.output(LOGIT)
    return lambda image: np.asarray(model(image)[output])
