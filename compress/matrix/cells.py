"""One cell: quantize for the engine, compile, run on the gate patients; or the reason why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from compress.against_float import FLOAT, NOT_MEASURED, AgainstFloat
from compress.artifact import STATUS_DEFERRED, Artifact, StepOutput
from compress.branches import branch_nodes, target_of
from compress.calibrating import calibration_of
from compress.gate import ParityVerdict, parity
from compress.judgement import Court, Judged, Trial, judge
from compress.ledger import Ledger, Node
from compress.lint.before_compile import lint_before_compile
from compress.matrix.record import Cell
from compress.options.target import TargetOptions
from compress.recipe import Recipe
from compress.report import figures
from compress.step import StepPlan, run_step
from compress.steps.quantize import reduces_range
from compress.workbench import Workbench
from runtime.errors import InferenceError, UlnaError

_SAMPLES = 8
_SPEED_FILE = "speed.json"
_NOTES = {STATUS_DEFERRED: "to be built on the device", "tensorrt_rtx": "by TensorRT for RTX"}


@dataclass(frozen=True)
class Field:
    """What the cells of one model grow from: its ONNX graph, and the court that saw it before.

    timed: whether converted engines are timed in turns with float ones.
    """

    bench: Workbench
    ledger: Ledger
    court: Court
    exported: Artifact
    timed: bool = True


@dataclass(frozen=True)
class _Place:
    """A cell still to be made. nodes: the compilation, before it the quantization of one in INT8."""

    options: TargetOptions
    precision: str
    nodes: tuple[Node, ...]

    @property
    def quantized(self) -> bool:
        return self.precision != FLOAT


def empty_cells(recipe: Recipe) -> tuple[Cell, ...]:
    """All that the recipe asks for. Raises RecipeError for an engine that does not exist."""
    return tuple(Cell(place.options.engine, place.precision) for place in _places(recipe))


def make_cells(field: Field) -> Iterator[Cell]:
    """One after the other; what one engine refuses costs the others nothing."""
    for place in _places(field.bench.recipe):
        try:
            yield _make(field, place)
        except UlnaError as error:
            field.bench.reporter.say(f"  [red]{escape(str(error))}[/red] {escape(error.hint)}")
            yield Cell(place.options.engine, place.precision, reason=str(error))


def _places(recipe: Recipe) -> Iterator[_Place]:
    nodes = branch_nodes(recipe)
    for options in recipe.targets:
        for precision in options.precisions:
            own = (node for node in nodes if (node.engine, node.precision) == (options.engine, precision))
            yield _Place(options, precision, tuple(own))


def _make(field: Field, place: _Place) -> Cell:
    source = _quantize(field, place) if place.quantized else field.exported
    target, node = target_of(place.options), place.nodes[-1]
    findings = lint_before_compile(field.ledger, field.bench.reporter, node, source.path)
    samples = field.bench.tensors.stack(field.bench.splits.calibration[:_SAMPLES])

    def body(folder: Path) -> StepOutput:
        return target.compile(source.path, folder, samples)

    plan = StepPlan(node.name, {}, (source.sha256,), field.bench.recipe.seed, target.tools)
    compiled = field.ledger.make(node, plan, body).artifact
    field.ledger.remark(node, lint=findings)
    return _cell(field, place, compiled, *_try(field, place, compiled))


def _quantize(field: Field, place: _Place) -> Artifact:
    options, target = place.options, target_of(place.options)
    node, images = place.nodes[0], calibration_of(field.bench, options.calibration_cases)
    # As in a run: what was quantized for this processor's range of weights is not for another's.
    reduce_range = reduces_range(options.engine)
    params = {"calibration": images.digest, "reduce_range": reduce_range, **options.conversion}
    plan = StepPlan(node.name, params, (field.exported.sha256,), field.bench.recipe.seed, target.tools)

    def body(folder: Path) -> StepOutput:
        return target.quantize(field.exported.path, folder, images, options)

    return field.ledger.make(node, plan, body).artifact


def _try(field: Field, place: _Place, compiled: Artifact) -> tuple[Judged, str]:
    """What the gate patients show, and what was run in the engine's place, "" for itself.

    Raises InferenceError, in the engine's words, where no case got an answer.
    """
    node, gates = place.nodes[-1], field.bench.recipe.gate
    with field.ledger.recording_errors(node), field.bench.reporter.task(f"gate {node.name}") as advance:
        run = target_of(place.options).open(compiled)
        trial = Trial(compiled, run.open_backend, gates.margins, run.numerics_from)
        judged = judge(field.court, trial, advance)
        if not len(judged.predictions):
            raise InferenceError(judged.verdict.checks[0].reason)
    auroc = figures.interval_text(judged.report.auroc)
    field.bench.reporter.say(f"  AUROC {escape(auroc)}, {figures.ms_text(judged.latency_ms)} ms")
    return judged, run.numerics_from


def _cell(field: Field, place: _Place, compiled: Artifact, judged: Judged, numerics_from: str) -> Cell:
    metrics = judged.report.to_json()
    del metrics["roc"]
    changes = (check for check in judged.verdict.checks if (check.metric, check.body_part) == ("auroc", ""))
    change = next(changes, None)
    return Cell(
        engine=place.options.engine,
        precision=place.precision,
        note=_NOTES.get(compiled.status, _NOTES.get(compiled.format, "")),
        size_bytes=compiled.size_bytes,
        latency_ms=judged.latency_ms,
        numerics_from=numerics_from,
        parity=_parity(field, place, judged),
        auroc_change={} if change is None else change.to_json(),
        outcome=judged.verdict.outcome,
        metrics=metrics,
        speed=_speed(field, place, compiled),
    )


def _speed(field: Field, place: _Place, compiled: Artifact) -> dict[str, object]:
    """Of a converted engine beside the float one: noted, and nothing is stopped by it.

    Kept as a step: a matrix that is run again finds the same.
    """
    if not field.timed or not place.quantized:
        return {}
    target, node, case = target_of(place.options), place.nodes[-1], field.court.cases[0]
    run = target.open(compiled)
    if run.numerics_from:
        return dict(NOT_MEASURED)
    beside = AgainstFloat(field.bench, field.ledger, target, field.exported, case)

    def body(folder: Path) -> StepOutput:
        seen = beside.time(node, run)
        table = NOT_MEASURED if seen is None else seen.to_json("float", "converted")
        (folder / _SPEED_FILE).write_text(json.dumps(table), encoding="utf-8")
        return StepOutput(_SPEED_FILE, "json")

    name = f"{node.name}-speed"
    plan = StepPlan(name, {"case": case.case_id}, (compiled.sha256, field.exported.sha256), 0, target.tools)
    path = run_step(plan, field.bench.steps / name, body).artifact.path
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _parity(field: Field, place: _Place, judged: Judged) -> dict[str, object]:
    limit = field.bench.recipe.gate.parity_logit
    found: ParityVerdict = parity(field.court.reference.logits, judged.predictions.logits, limit)
    table = found.to_json()
    return table | {"limit": None, "outcome": ""} if place.quantized else table
