"""Training without what follows it: a checkpoint, its history and curves, and what it does on calibration.

The step is the one that `ulna run` begins with, in the same place and under the same key: a run of the same
recipe in the same folder goes on from it. Started by torchrun, several processes train together, and only
the first writes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compress.artifact import Artifact, StepOutput, digest_files
from compress.cross_validation import require_enough_patients
from compress.datasets.problems import refuse
from compress.evaluate import predict
from compress.metrics import MetricsReport, measure
from compress.operating_points import choose_operating_points
from compress.patches.source import with_patches
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.step import StepPlan, run_step
from compress.steps.train import NETWORK_FILE, finetune_network, train_network, warm_start
from compress.torch_backend import TorchBackend
from compress.training.curves import draw_curves
from compress.training.loop import TrainRun
from compress.training.processes import ALONE, Processes
from compress.trunk import train_plan
from compress.workbench import Workbench, open_workbench
from compress.zoo.checkpoint import load_network
from runtime.detector import DetectorSpec
from runtime.errors import RecipeError
from runtime.findings import OperatingPoints, Provenance

HISTORY_FILE, CURVES_FILE, CALIBRATION_FILE = "history.json", "curves.png", "calibration.json"


@dataclass(frozen=True)
class TrainRequest:
    """folder: of the results. data: as for a run; None for synthetic radiographs.

    start: a network.pt whose weights are begun with, instead of the recipe's. teachers: checkpoints that
    distill_weight follows, the mean of them where there are several.
    """

    folder: Path
    data: Path | None = None
    start: Path | None = None
    teachers: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read besides the data."""
        return tuple(path for path in (self.start, *self.teachers) if path is not None)


@dataclass(frozen=True, eq=False)
class Trained:
    """The finished step, and its figures on the calibration patients, who chose epoch and thresholds."""

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
    if request.teachers and not recipe.train.distill_weight:
        raise RecipeError(
            "a teacher is given, and train.distill_weight is 0", "set it in the recipe, up to 1"
        )
    missing = [f"{path} is no file" for path in request.files if not path.is_file()]
    refuse("what training begins with", missing, "check the paths")
    with processes.one_after_the_first():
        bench = open_workbench(recipe, request.folder, request.data, reporter)
    if not recipe.operating_points.folds:
        require_enough_patients(bench)
    artifact = _run_together(_plan(bench, request), bench, request, processes)
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


def _plan(bench: Workbench, request: TrainRequest) -> StepPlan:
    """The run's own plan; what else is read becomes part of the key."""
    plan = train_plan(bench)
    if not request.files:
        return plan
    named = {
        "start": int(request.start is not None),
        "teachers": len(request.teachers),
    }
    digests = tuple(digest_files((path,)) for path in request.files)
    return replace(plan, params={**plan.params, "files": named}, parents=(*plan.parents, *digests))


def _run_together(
    plan: StepPlan, bench: Workbench, request: TrainRequest, processes: Processes
) -> Artifact | None:
    """The first process keeps the step's books; the others join in where it computes."""

    def body(folder: Path) -> StepOutput:
        with bench.reporter.task("training") as advance:
            teachers = [load_network(path) for path in request.teachers]
            run = TrainRun(folder, bench.recipe.seed, teachers or None, advance, processes)
            return _train(bench, request, run)

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


def _train(bench: Workbench, request: TrainRequest, run: TrainRun) -> StepOutput:
    recipe = bench.recipe
    data, run = with_patches(recipe.patches, recipe.train, bench.train_data(), run)
    calibrate = recipe.operating_points.calibrate
    if request.start is None:
        return train_network(recipe.model, data, recipe.train, run, calibrate)
    network = warm_start(request.start, recipe.model, recipe.preprocess.size_px)
    return finetune_network(network, data, recipe.train, run, calibrate)


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
