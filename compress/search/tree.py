"""One trial as a tree: the steps of a run under the same keys, without gates, asked on calibration patients.

The verdict of the gates is worked out apart, by the code of a run, and finds these very steps made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress import auroc
from compress.artifact import Artifact, StepOutput
from compress.branches import Graft, branch_nodes, grow_branches
from compress.checkpoint import check_model, open_checkpoint, train_checkpoint
from compress.evaluate import predict
from compress.judgement import GATE_FOLDER, Court
from compress.matrix.cells import Field, make_cells
from compress.metrics import measure
from compress.opening import spec_of
from compress.options.gate import NO_DRIFT_LIMITS
from compress.predictions import Predictions
from compress.recipe import Recipe
from compress.search.store import SharingLedger
from compress.step import load_step
from compress.steps.statistics import detector_of
from compress.training.history import History
from compress.training.loop import TrainRun
from compress.trunk import (
    EXPORT,
    FINETUNE,
    PRUNE,
    TRAIN,
    export_body,
    export_plan,
    finetune_body,
    finetune_plan,
    grow_trunk,
    prune_body,
    prune_plan,
    train_plan,
    trunk_nodes,
)
from compress.workbench import Workbench
from runtime.errors import StepError, UlnaError

Watch = Callable[[History], None]


@dataclass(frozen=True)
class Grown:
    """figures: as compress.search.outcome.FIGURES without the latency, and the AUROC itself. curve: of the
    training. compiled: what would ship. digests: of every step.
    """

    figures: dict[str, float]
    curve: tuple[float, ...]
    compiled: Artifact
    digests: dict[str, str]


def require_possible(recipe: Recipe) -> None:
    """Raise RecipeError (or StepError) for a network, input size or target that cannot be made."""
    trunk_nodes(recipe)
    branch_nodes(recipe)
    check_model(recipe)


def grow(bench: Workbench, ledger: SharingLedger, watch: Watch) -> Grown:
    """Make every step and ask the last one. Raises UlnaError for what cannot be made or gives no answers."""
    trained = ledger.make(TRAIN, train_plan(bench), lambda folder: _train(bench, folder, watch)).artifact
    ripe = _thin_out(bench, ledger, trained) if bench.recipe.prune.is_active else trained
    node = replace(EXPORT, parent=ripe.step)
    exported = ledger.make(
        node, export_plan(bench, node, ripe), lambda folder: export_body(bench, ripe, folder)
    ).artifact
    court = _calibration_court(bench, trained)
    cell = next(make_cells(Field(bench, ledger, court, exported, timed=False)))
    compiled = load_step(bench.steps / branch_nodes(bench.recipe)[-1].name)
    if cell.reason or compiled is None:
        raise StepError(cell.reason or "nothing was compiled")
    digests = {node.name: node.sha256 for node in ledger.nodes if node.sha256}
    return Grown(_figures(court, compiled), curve_of(trained), compiled, digests)


def curve_of(trained: Artifact) -> tuple[float, ...]:
    """Calibration AUROC by epoch; () for a baseline, which has no epochs."""
    return tuple(trained.facts.get("history", {}).get("calibration_auroc", ()))


def ask_gate(bench: Workbench, ledger: SharingLedger) -> dict[str, Any]:
    """The verdict of a run's gates (JSON-safe). passed: whether the engine would ship."""
    try:
        stem = grow_trunk(bench, ledger)
        shippable: tuple[Any, ...] = ()
        if stem.exported is not None and stem.predictions is not None:
            strange = None if stem.statistics is None else detector_of(stem.statistics, bench.recipe.anomaly)
            graft = Graft(bench, ledger, stem.court, stem.exported, stem.predictions, strange, stem.whole)
            shippable = grow_branches(graft)
    except UlnaError as error:
        return {"passed": False, "stopped": [], "reason": str(error)}
    stopped = [*ledger.gate_stopped, *ledger.failed]
    outcomes = {node.name: node.verdict for node in ledger.nodes if node.name in stopped}
    passed = bool(shippable) and not stopped
    reason = "" if passed else f"stopped at {', '.join(stopped) or 'its engine'}"
    return {"passed": passed, "stopped": stopped, "reason": reason, "verdicts": outcomes}


def _train(bench: Workbench, folder: Path, watch: Watch) -> StepOutput:
    with bench.reporter.task("training") as advance:
        run = TrainRun(folder, bench.recipe.seed, None, advance, watch=watch)
        return train_checkpoint(bench.recipe, bench.train_data(), run)


def _thin_out(bench: Workbench, ledger: SharingLedger, trained: Artifact) -> Artifact:
    pruned = ledger.make(
        PRUNE, prune_plan(bench, trained), lambda folder: prune_body(bench, trained, folder)
    ).artifact
    plan = finetune_plan(bench, trained, pruned)
    return ledger.make(FINETUNE, plan, lambda folder: finetune_body(bench, trained, pruned, folder)).artifact


def _calibration_court(bench: Workbench, trained: Artifact) -> Court:
    """The trained network's own answers on the calibration patients. No threshold matters."""
    backend, cases = open_checkpoint(trained.path), bench.splits.calibration
    try:
        with bench.reporter.task("calibration patients") as advance:
            reference = predict(backend, spec_of(bench), bench.tensors, cases, advance)
    finally:
        backend.close()
    gates, digest = bench.recipe.gate, bench.dataset.digest
    return Court(
        bench.tensors, cases, spec_of(bench), reference, digest, gates.confidence, drift=NO_DRIFT_LIMITS
    )


def _figures(court: Court, compiled: Artifact) -> dict[str, float]:
    seen = Predictions.load(compiled.folder / GATE_FOLDER / "predictions.npz")
    if seen.refused or len(seen) != len(court.reference):
        raise StepError(f"{len(seen.refused)} of {len(court.cases)} calibration images got no sound answer")
    report = measure(seen, court.points, court.confidence)
    if report.auroc_bounds is None or report.auroc.value is None:
        raise StepError("the calibration patients have no AUROC", "they need both kinds, of enough patients")
    loss = -auroc.compare(court.reference, seen, court.confidence).lower
    return {
        "auroc": report.auroc.value,
        "auroc_bound": report.auroc_bounds[0],
        "loss_bound": loss,
        "size_mb": compiled.size_bytes / 1e6,
    }
