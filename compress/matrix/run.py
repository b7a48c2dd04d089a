"""The whole matrix: one row after the other, each written down before the next is begun.

Every training, answer, quantization and compilation is a step (compress.step): run again, the matrix goes on
where it was, and what has not changed is not done again. What was refused is tried again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape

from compress.artifact import Artifact, StepOutput
from compress.checkpoint import is_graph, train_checkpoint
from compress.cross_validation import require_enough_patients
from compress.judgement import Court
from compress.ledger import Ledger
from compress.matrix.before import ANSWERS, ask, open_court
from compress.matrix.cells import Field, empty_cells, make_cells
from compress.matrix.picture import draw
from compress.matrix.recipe import MatrixRecipe
from compress.matrix.record import BASELINE, NETWORK, MatrixRecord, Row
from compress.matrix.tables import to_markdown
from compress.metrics import measure
from compress.progress import ProgressReporter
from compress.step import StepPlan
from compress.steps.export_onnx import export
from compress.training.loop import TrainRun
from compress.trunk import EXPORT, TRAIN, train_plan
from compress.workbench import Workbench, describe_machine, open_workbench, recipe_table
from runtime.errors import StepError, UlnaError

RECORD, MARKDOWN, PICTURE = "matrix.json", "matrix.md", "matrix.png"
MODELS = "models"
_EXPORT_SAMPLES = 8


@dataclass(frozen=True)
class MatrixRequest:
    """folder: of the results. data: as for a run; None for synthetic radiographs. names: see
    MatrixRecipe.choose.
    """

    folder: Path
    data: Path | None
    names: tuple[str, ...]


def run_matrix(recipe: MatrixRecipe, request: MatrixRequest, reporter: ProgressReporter) -> MatrixRecord:
    """Fill the table and write matrix.json, matrix.md and matrix.png into the folder.

    A model that cannot be trained, or an engine that refuses one, is a row or a cell with its reason. Raises
    StepError or InputError for data that cannot be used, and StepError where nothing could be trained at all,
    after everything was written.
    """
    try:
        record = _run(recipe, request, reporter)
    except OSError as error:
        raise StepError(
            f"cannot write or read {error.filename or request.folder}: {error.strerror or error}",
            "is there room? Then run again: what is done is kept",
        ) from error
    if all(row.reason for row in record.rows):
        raise StepError("no model could be trained and exported", f"see {MARKDOWN} for each reason")
    return record


def _run(recipe: MatrixRecipe, request: MatrixRequest, reporter: ProgressReporter) -> MatrixRecord:
    empty_cells(recipe.shared)  # an engine that does not exist is refused before hours are spent
    began = _Beginning(time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds"))
    bench = open_workbench(recipe.shared, request.folder, request.data, reporter)
    require_enough_patients(bench)
    rows: list[Row] = []
    for number, name in enumerate(request.names, 1):
        reporter.say(f"[bold cyan]{name}[/bold cyan] ({number} of {len(request.names)})")
        own = replace(bench, recipe=recipe.of(name), folder=bench.folder / MODELS / name)
        rows.append(make_row(name, own))
        _write(_record(bench, began, rows), request.folder)
    return _record(bench, began, rows)


def make_row(name: str, bench: Workbench) -> Row:
    """Train, ask, export, then every cell. bench: with the model's own recipe and folder."""
    ledger = Ledger(bench.steps, bench.reporter)
    kind = BASELINE if bench.recipe.is_classical else NETWORK
    row = Row(name, kind, cells=empty_cells(bench.recipe))
    try:
        trained = ledger.make(TRAIN, train_plan(bench), lambda folder: _train(bench, folder)).artifact
        row = _with_training(row, trained)
        answers = ask(bench, ledger, trained)
        with ledger.recording_errors(ANSWERS):
            court = open_court(bench, answers)
            row = _with_answers(row, court, answers)
        exported = trained if is_graph(trained.path) else _export(bench, ledger, trained)
    except UlnaError as error:
        bench.reporter.say(f"  [red]{escape(str(error))}[/red] {escape(error.hint)}")
        return row.stopped(str(error))
    row = replace(row, size_bytes=exported.path.stat().st_size, export_parity=_parity_of(exported))
    return replace(row, cells=tuple(make_cells(Field(bench, ledger, court, exported))))


def _train(bench: Workbench, folder: Path) -> StepOutput:
    with bench.reporter.task("training") as advance:
        run = TrainRun(folder, bench.recipe.seed, None, advance)
        return train_checkpoint(bench.recipe, bench.train_data(), run)


def _with_training(row: Row, trained: Artifact) -> Row:
    facts = trained.facts
    return replace(
        row,
        parameters=facts.get("parameters"),
        macs=facts.get("macs"),
        train_seconds=trained.seconds,
        history=facts.get("history", {}),
    )


def _with_answers(row: Row, court: Court, answers: Artifact) -> Row:
    metrics = measure(court.reference, court.points, court.confidence).to_json()
    del metrics["roc"]
    latency_ms = answers.facts["latency_ms"]
    return replace(row, metrics=metrics, operating_points=vars(court.points), latency_ms=latency_ms)


def _export(bench: Workbench, ledger: Ledger, trained: Artifact) -> Artifact:
    """As in a run that wants no anomaly statistics."""
    params = {"size_px": bench.recipe.preprocess.size_px, "features": False}
    plan = StepPlan(EXPORT.name, params, (trained.sha256,), 0, ("torch", "onnx"))
    samples = bench.tensors.stack(bench.splits.calibration[:_EXPORT_SAMPLES])
    return ledger.make(EXPORT, plan, lambda folder: export(trained.path, folder, samples)).artifact


def _parity_of(exported: Artifact) -> float:
    """Networks: worst of logit and map over batch sizes, relative. Baselines: of the logit."""
    found = exported.facts["parity"]
    return float(found["logit"] if "logit" in found else max(found.values()))


@dataclass(frozen=True)
class _Beginning:
    clock_s: float
    utc: str


def _record(bench: Workbench, began: _Beginning, rows: Sequence[Row]) -> MatrixRecord:
    return MatrixRecord(
        recipe=recipe_table(bench.recipe),
        data=bench.describe_data(),
        machine=describe_machine(),
        started_utc=began.utc,
        seconds=round(time.monotonic() - began.clock_s, 1),
        confidence=bench.recipe.gate.confidence,
        rows=tuple(rows),
    )


def _write(record: MatrixRecord, folder: Path) -> None:
    texts = {
        RECORD: json.dumps(record.to_json(), indent=1, allow_nan=False),
        MARKDOWN: to_markdown(record),
    }
    for name, text in texts.items():
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)
    draw(record, folder / PICTURE)
