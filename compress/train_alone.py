"""Training without what follows it: a checkpoint, its history and curves, and what it does on calibration.

The step is the one that `ulna run` begins with, in the same place and under the same key: a run of the same
recipe, with the same checkpoints (compress.begin_with), goes on from it in the same folder. Started by
torchrun, several processes train together, and only the first writes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from compress.artifact import Artifact, StepOutput
from compress.begin_with import BeginWith
from compress.cross_validation import require_enough_patients
from compress.evaluate import predict
from compress.metrics import MetricsReport, measure
from compress.operating_points import choose_operating_points
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.step import StepPlan, run_step
from compress.steps.train import NETWORK_FILE
from compress.torch_backend import TorchBackend
from compress.training.curves import draw_curves
from compress.training.processes import ALONE, Processes
from compress.workbench import Workbench, open_workbench
from compress.zoo.checkpoint import load_network
from runtime.detector import DetectorSpec
from runtime.errors import RecipeError
from runtime.findings import OperatingPoints, Provenance

HISTORY_FILE, CURVES_FILE, CALIBRATION_FILE = "history.json", "curves.png", "calibration.json"


@dataclass(frozen=True)
class TrainRequest:
    """folder: of the results. data: as for a run; None for synthetic radiographs.

    begin: with which checkpoints.
    """

    folder: Path
    data: Path | None = None
    begin: BeginWith = field(default_factory=BeginWith)


@dataclass(frozen=True, eq=False)
class Trained:
    """The finished step, and its figures on the calibration patients, who chose the thresholds."""

    artifact: Artifact
    report: MetricsReport


def train_alone(
    recipe: Recipe, request: TrainRequest, reporter: ProgressReporter, processes: Processes = ALONE
) -> Trained | None:
    """Train as the recipe says and write network.pt, history.json, curves.png and calibration.json.

    Where the recipe locks its points out of fold, which only a run does, the figures are at points that the
    calibration patients themselves reach, without an assurance for others.
    Returns None in every process but the first. Raises StepError, InputError or RecipeError.
    """
    if recipe.is_classical:
        raise RecipeError(
            "a classical baseline is fitted at once, it has no epochs to train", "make it with `ulna run`"
        )
    request.begin.check(recipe)
    with processes.one_after_the_first():
        bench = open_workbench(recipe, request.folder, request.data, reporter)
    if not recipe.operating_points.folds:
        require_enough_patients(bench)
    artifact = _run_together(request.begin.plan(bench), bench, request, processes)
    if artifact is None:
        return None
    (request.folder / CALIBRATION_FILE).unlink(missing_ok=True)  # of a former network
    shutil.copyfile(artifact.path, request.folder / f"{NETWORK_FILE}.partial")
    (request.folder / f"{NETWORK_FILE}.partial").replace(request.folder / NETWORK_FILE)
    _write_json(request.folder / HISTORY_FILE, artifact.facts["history"])
    draw_curves(artifact.facts["history"], request.folder / CURVES_FILE)
    report = _evaluate(bench, artifact)
    _write_json(request.folder / CALIBRATION_FILE, report.to_json())
    return Trained(artifact, report)


def _run_together(
    plan: StepPlan, bench: Workbench, request: TrainRequest, processes: Processes
) -> Artifact | None:
    """The first process keeps the step's books; the others join in where it computes."""

    def body(folder: Path) -> StepOutput:
        return request.begin.train(bench, folder, processes)

    if not processes.is_first:
        shared = processes.agree("")
        if shared:
            body(Path(shared))
        return None
    return _run_announced(plan, bench.steps / "train", body, processes)


def _run_announced(
    plan: StepPlan, folder: Path, body: Callable[[Path], StepOutput], processes: Processes
) -> Artifact:
    def announced(partial: Path) -> StepOutput:
        processes.agree(str(partial))
        return body(partial)

    result = run_step(plan, folder, announced)
    if result.reused:
        processes.agree("")
    return result.artifact


def _evaluate(bench: Workbench, trained: Artifact) -> MetricsReport:
    backend = TorchBackend(load_network(trained.path))
    recipe = bench.recipe
    provenance = Provenance("", "", recipe.release.name, recipe.release.version)
    spec = DetectorSpec(
        recipe.preprocess,
        OperatingPoints(0.5, 0.5),
        recipe.release.body_parts,
        provenance,
        metadata=bench.metadata,
    )
    try:
        with bench.reporter.task("calibration patients") as advance:
            seen = predict(backend, spec, bench.tensors, bench.splits.calibration, advance)
    finally:
        backend.close()
    # Of scores out of fold, which a run has and a training alone has not, more can be asked than of these.
    asked = recipe.operating_points
    points = choose_operating_points(seen, replace(asked, assurance=0.5) if asked.folds else asked)
    return measure(seen, points, recipe.gate.confidence)


def _write_json(path: Path, table: object) -> None:
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(json.dumps(table, indent=2, allow_nan=False), encoding="utf-8")
    beside.replace(path)
