"""What became of one trial, as it lies in the trial's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "trial.json"
MADE, DONE, STOPPED, IMPOSSIBLE, FAILED = "made", "done", "stopped", "impossible", "failed"
"""made: all but the latency, which is measured when nothing else runs."""


@dataclass(frozen=True)
class Figure:
    """How a figure is called, where better lies, and how the best is called in a sentence."""

    title: str
    maximise: bool
    best: str
    text: str


FIGURES = {
    "auroc_bound": Figure("AUROC, lower bound", True, "the surest", "AUROC at least {:.3f}"),
    "loss_bound": Figure("loss of AUROC, upper bound", False, "the closest to its reference", "loss {:.3f}"),
    "latency_ms": Figure("latency p50, ms", False, "the fastest", "{:.2f} ms"),
    "size_mb": Figure("size, MB", False, "the smallest", "{:.2f} MB"),
}


@dataclass(frozen=True)
class Outcome:
    """One trial. params: the dotted keys. figures: those of FIGURES that were measured, and the AUROC itself,
    all on calibration patients. reason: why there is none. curve: calibration AUROC by epoch of the training.
    digests: of its artifacts, by step. machine: whose latency it is.
    """

    number: int
    params: dict[str, Any]
    status: str
    figures: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    curve: tuple[float, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)
    machine: str = ""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.status != MADE

    def values(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """The figures to search by, in order."""
        return tuple(self.figures[name] for name in objectives)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "curve": list(self.curve)}

    def save(self, folder: Path) -> None:
        """Write it whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{FILE}.partial"
        partial.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False), encoding="utf-8")
        partial.replace(folder / FILE)


def load_outcome(folder: Path) -> Outcome | None:
    """What an earlier run left there; None where nothing sound is: then the trial is made again."""
    try:
        table = json.loads((folder / FILE).read_bytes())
        return Outcome(**{**table, "curve": tuple(table["curve"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
