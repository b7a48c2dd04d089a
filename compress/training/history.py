"""The course of one training, as the report draws it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.auroc import placements

_NOT_NOTED = "a machine that was not noted"


@dataclass(frozen=True)
class Epoch:
    """loss: mean over the fit batches. calibration_loss, calibration_auroc: of whole images as they are.

    on_windows: learnt from small windows, not from whole images. learning_rate: the head's, in the last step.
    learning_rates: all that there are, from the head to the input. frozen_stages: counted from the input.
    averaged: the weights that were judged are an average, not those of the last step. trained_on: machine,
    precision and torch; "" where nobody noted it.
    """

    number: int
    loss: float
    calibration_loss: float
    calibration_auroc: float
    learning_rate: float
    seconds: float
    on_windows: bool = False
    learning_rates: tuple[float, ...] = ()
    frozen_stages: int = 0
    averaged: bool = False
    trained_on: str = ""


@dataclass(frozen=True)
class History:
    """All epochs, and which of them is kept: the best, or the last one done."""

    epochs: tuple[Epoch, ...] = ()
    keeps_last: bool = False

    @property
    def kept(self) -> int:
        """Number (from 1) of the epoch whose weights are kept; 0 before the first."""
        return len(self.epochs) if self.keeps_last else self.best

    @property
    def best(self) -> int:
        """Highest AUROC on the calibration set, among equals the lowest loss; 0 before the first epoch.

        Epochs on windows count only where there are no others: their logits are not those of whole images.
        """
        epochs = [epoch for epoch in self.epochs if not epoch.on_windows] or list(self.epochs)
        if not epochs:
            return 0
        return max(epochs, key=lambda e: (round(e.calibration_auroc, 4), -e.calibration_loss)).number

    @property
    def stale_epochs(self) -> int:
        """Whole-image epochs since the best one."""
        since = self.epochs[self.best :]
        return 0 if self.best == 0 else sum(not epoch.on_windows for epoch in since)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Every machine, precision and torch that an epoch was learned with, in their order."""
        return tuple(dict.fromkeys(epoch.trained_on or _NOT_NOTED for epoch in self.epochs))

    def to_json(self) -> dict[str, Any]:
        """One list a measure: {"loss": [...], "auroc": [...], …, "trained_on": [...], "kept_epoch": n}."""
        rows = [asdict(epoch) for epoch in self.epochs]
        columns = ("loss", "calibration_loss", "calibration_auroc", "learning_rate", "seconds")
        curves: dict[str, Any] = {name: [round(row[name], 6) for row in rows] for name in columns}
        states = {name: [row[name] for row in rows] for name in ("frozen_stages", "averaged")}
        rates = [[round(rate, 9) for rate in epoch.learning_rates] for epoch in self.epochs]
        places = {"trained_on": [epoch.trained_on or _NOT_NOTED for epoch in self.epochs]}
        return {**curves, **states, **places, "learning_rates": rates, "kept_epoch": self.kept}


def auroc(scores: NDArray[np.floating[Any]], labels: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve; 0.5 where a class is missing."""
    is_fractured = (labels > 0.5).astype(np.int64)
    if is_fractured.all() or not is_fractured.any():
        return 0.5
    return placements(scores.astype(np.float64), is_fractured).auroc
