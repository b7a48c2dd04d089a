"""The course of one training, as the report draws it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """loss: mean over the fit batches. calibration_loss, calibration_auroc: without augmentation."""

    number: int
    loss: float
    calibration_loss: float
    calibration_auroc: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    """All epochs; `best` is the number (from 1) of the one whose weights were kept."""

    epochs: tuple[Epoch, ...] = ()

    @property
    def best(self) -> int:
        """Highest AUROC on the calibration set, among equals the lowest loss; 0 before the first epoch."""
        if not self.epochs:
            return 0
        return max(self.epochs, key=lambda e: (round(e.calibration_auroc, 4), -e.calibration_loss)).number

    def to_json(self) -> dict[str, Any]:
        """One list a measure: {"loss": [...], "auroc": [...], …, "best_epoch": n}."""
        rows = [asdict(epoch) for epoch in self.epochs]
        columns = ("loss", "calibration_loss", "calibration_auroc", "learning_rate", "seconds")
        curves: dict[str, Any] = {name: [round(row[name], 6) for row in rows] for name in columns}
        return {**curves, "best_epoch": self.best}


def auroc(scores: NDArray[np.floating[Any]], labels: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve by ranks, ties counted half; 0.5 where a class is missing."""
    positives = int((labels > 0.5).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    surplus = ranks[labels > 0.5].sum() - positives * (positives + 1) / 2
    return float(surplus / (positives * negatives))
