"""What a child process is asked, and the bare data that all tools get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Question:
    """model: what the tool is handed (ONNX, or OpenVINO's .xml). reference: the sound model, for Olive.
    former: the model before, where the fault is of kind `former`. data: an .npz with calibration
    (N, 1, S, S), validation (M, 1, S, S) and labels (M,). threshold: a probability. folder: for its files.
    """

    peer: str
    fault: str
    kind: str
    model: str
    reference: str
    former: str
    data: str
    threshold: float
    folder: str

    @property
    def asked(self) -> str:
        """The fault where it lies in how the tool is called, else ""."""
        return self.fault if self.kind == "options" else ""


@dataclass(frozen=True, eq=False)
class Images:
    """calibration: (N, 1, S, S) float32. validation: (M, 1, S, S). labels: (M,)."""

    calibration: NDArray[np.float32]
    validation: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class HandedOver:
    """path: of the model, None where the tool made none. noticed, quantizers: see cell.Answer."""

    path: Path | None
    noticed: str = ""
    quantizers: int = 0


def images_of(question: Question) -> Images:
    """Read them."""
    with np.load(question.data) as table:
        return Images(table["calibration"], table["validation"], table["labels"])


def question_from(table: dict[str, Any]) -> Question:
    """Raises TypeError for another table."""
    return Question(**table)
