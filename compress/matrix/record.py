"""What a matrix found, as data: a row a model, in it a cell an engine and precision. JSON-safe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

NETWORK, BASELINE = "network", "baseline"


@dataclass(frozen=True)
class Cell:
    """One model on one engine in one precision.

    reason: why there are no figures, in the words of what refused; "" where there are. note: what has to be
    known of figures that are there, such as a build that is left to the device.
    size_bytes: of what the device gets. latency_ms: {"p50": …, …} at batch 1 on this machine, {} where the
    engine cannot run here. numerics_from: what was run in its place then.
    parity: gate.ParityVerdict.to_json() of its logits against those before, on the gate patients; without
    limit and outcome where eight bits may move them. auroc_change: gate.Check.to_json() of the AUROC, after
    minus before. outcome: of the gate. metrics: MetricsReport.to_json() without the ROC curve. speed: of an
    engine in INT8 beside the float one, compress.faster.Speed.to_json() or why it was not measured.
    """

    engine: str
    precision: str
    reason: str = ""
    note: str = ""
    size_bytes: int = 0
    latency_ms: dict[str, float] = field(default_factory=dict)
    numerics_from: str = ""
    parity: dict[str, Any] = field(default_factory=dict)
    auroc_change: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)

    @property
    def made(self) -> bool:
        """Whether there are figures."""
        return not self.reason

    @property
    def slower(self) -> bool:
        """Whether it was timed beside the float engine and is not shown to be faster."""
        return not self.speed.get("faster", True)


@dataclass(frozen=True)
class Row:
    """One model: what it is before an engine has it, and its cells.

    kind: network | baseline. reason: why it could not be trained or exported, "" where it could.
    parameters, macs: None where nobody counts them. train_seconds: of the training's last start.
    export_parity: largest difference of the ONNX graph from what was trained; None where there is no graph.
    size_bytes: of the ONNX graph. latency_ms, metrics: of the checkpoint in torch, for a baseline of its
    graph in ONNX Runtime. history: of a network's training. operating_points: the locked thresholds.
    """

    name: str
    kind: str
    reason: str = ""
    parameters: int | None = None
    macs: int | None = None
    train_seconds: float = 0.0
    export_parity: float | None = None
    size_bytes: int = 0
    latency_ms: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    operating_points: dict[str, float] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()

    def stopped(self, reason: str) -> Row:
        """The row of a model that came no further; the same reason stands in every cell."""
        return replace(self, reason=reason, cells=tuple(replace(cell, reason=reason) for cell in self.cells))

    def cell(self, engine: str, precision: str) -> Cell | None:
        """None where the recipe does not ask for it."""
        wanted = (engine, precision)
        return next((cell for cell in self.cells if (cell.engine, cell.precision) == wanted), None)


@dataclass(frozen=True)
class MatrixRecord:
    """All of it. data, machine: as in compress.record.RunRecord. confidence: of the two-sided intervals.

    recipe: the shared one. rows: in the order in which they were made.
    """

    recipe: dict[str, Any]
    data: dict[str, Any]
    machine: dict[str, Any]
    started_utc: str
    seconds: float
    confidence: float
    rows: tuple[Row, ...]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(engine, precision) of the cells, in the recipe's order."""
        return tuple((cell.engine, cell.precision) for cell in self.rows[0].cells) if self.rows else ()

    def to_json(self) -> dict[str, Any]:
        """As `matrix.json` holds it."""
        return {"schema": 1, **asdict(self)}
