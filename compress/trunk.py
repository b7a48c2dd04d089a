"""The torch side of the tree: train -> prune -> finetune -> export, each judged before the next is begun.

With [prune] ratio = 0 there is nothing to prune or to mend: export grows from train.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from compress import metrics
from compress.artifact import Artifact, StepOutput, digest_files
from compress.datasets.base import Case
from compress.evaluate import predict
from compress.gate import floors
from compress.judgement import Court, Trial
from compress.ledger import Ledger, Node
from compress.operating_points import choose_operating_points
from compress.predictions import Predictions
from compress.recipe import Margins, Recipe
from compress.step import StepPlan
from compress.steps.export_onnx import export
from compress.steps.prune import prune, require_prunable
from compress.steps.train import finetune_network, train_network
from compress.torch_backend import TorchBackend
from compress.training.data import TrainData, train_data
from compress.training.loop import TrainRun
from compress.workbench import Workbench
from compress.zoo.checkpoint import load_network
from compress.zoo.options import ModelOptions
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.registry import open_backend
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance

TRAIN = Node("train", "", "train", "train")
PRUNE = Node("prune", "train", "prune", "prune")
FINETUNE = Node("finetune", "prune", "fine-tune", "finetune")
EXPORT = Node("export", "finetune", "export to ONNX", "export")

_EXPORT_SAMPLES = 8


@dataclass(frozen=True)
class Trunk:
    """What the branches start from: the court with its reference, the exported graph and its predictions.

    The latter two are None when a gate stopped the trunk before them.
    """

    court: Court
    exported: Artifact | None = None
    predictions: Predictions | None = None


@dataclass(frozen=True)
class _Ripe:
    """A checkpoint that may be exported, and its answers on the gate patients."""

    artifact: Artifact
    predictions: Predictions


def trunk_nodes(recipe: Recipe) -> tuple[Node, ...]:
    """In the order they are made. Raises RecipeError where a network is to be pruned that cannot be."""
    if not recipe.prune.ratio:
        return TRAIN, replace(EXPORT, parent=TRAIN.name)
    require_prunable(recipe.model.name)
    return TRAIN, PRUNE, FINETUNE, EXPORT


def grow_trunk(bench: Workbench, ledger: Ledger) -> Trunk:
    """Make and judge the nodes, until a gate stops the trunk."""
    trained = ledger.make(TRAIN, train_plan(bench), lambda folder: _train(bench, folder)).artifact
    ledger.histories["train"] = trained.facts["history"]
    with ledger.recording_errors(TRAIN):  # a network that answers nothing sound ends here
        court = open_court(bench, trained)
    return _grow_from_checkpoint(bench, ledger, court, trained)


def _grow_from_checkpoint(bench: Workbench, ledger: Ledger, court: Court, trained: Artifact) -> Trunk:
    if not _judge_checkpoint(bench, ledger, court, trained):
        return Trunk(court)
    whole = _Ripe(trained, court.reference)
    ripe = _thin_out(bench, ledger, court, trained) if bench.recipe.prune.ratio else whole
    return Trunk(court) if ripe is None else _grow_export(bench, ledger, court, ripe)


def _thin_out(bench: Workbench, ledger: Ledger, court: Court, trained: Artifact) -> _Ripe | None:
    """Prune, then fine-tune; None when a gate stops it."""
    gates = bench.recipe.gate
    pruned = ledger.make(PRUNE, _prune_plan(bench, trained), lambda to: _prune(bench, trained, to)).artifact
    if not ledger.judge(PRUNE, court, _torch_trial(pruned, gates.prune_margins)):
        return None
    plan = _finetune_plan(bench, trained, pruned)
    tuned = ledger.make(FINETUNE, plan, lambda to: _finetune(bench, trained, pruned, to)).artifact
    ledger.histories["finetune"] = tuned.facts["history"]
    judged = ledger.judge(FINETUNE, court, _torch_trial(tuned, gates.margins))
    return None if judged is None else _Ripe(tuned, judged.predictions)


def _grow_export(bench: Workbench, ledger: Ledger, court: Court, ripe: _Ripe) -> Trunk:
    gates, node = bench.recipe.gate, trunk_nodes(bench.recipe)[-1]
    plan = _export_plan(bench, ripe.artifact)
    exported = ledger.make(node, plan, lambda to: _export(bench, ripe.artifact, to)).artifact
    trial = Trial(
        exported,
        lambda: open_onnx(exported.path),
        gates.margins,
        same_as=ripe.predictions,
        parity_limit=gates.parity_logit,
    )
    repeated = ledger.judge(node, court, trial)
    return Trunk(court) if repeated is None else Trunk(court, exported, repeated.predictions)


def open_onnx(path: Path) -> Backend:
    """An ONNX graph on ONNX Runtime."""
    return open_backend("onnxruntime", ModelFiles(path.read_bytes()))


def open_court(bench: Workbench, trained: Artifact) -> Court:
    """Lock the operating points on the calibration patients; the checkpoint's answers are the reference."""
    spec = _spec(bench, OperatingPoints(0.5, 0.5))
    backend = TorchBackend(load_network(trained.path))
    try:
        with bench.reporter.task("operating points") as advance:
            seen = predict(backend, spec, bench.tensors, bench.splits.calibration, advance)
        points = choose_operating_points(seen, bench.recipe.operating_points)
        spec = _spec(bench, points)
        with bench.reporter.task("reference") as advance:
            reference = predict(backend, spec, bench.tensors, bench.splits.gate, advance)
    finally:
        backend.close()
    return Court(
        bench.tensors, bench.splits.gate, spec, reference, bench.dataset.digest, bench.recipe.gate.confidence
    )


def _spec(bench: Workbench, points: OperatingPoints) -> DetectorSpec:
    release = bench.recipe.release
    provenance = Provenance("", "", release.name, release.version)
    return DetectorSpec(bench.recipe.preprocess, points, release.body_parts, provenance)


def _judge_checkpoint(bench: Workbench, ledger: Ledger, court: Court, trained: Artifact) -> bool:
    """The checkpoint is compared with itself, and with the recipe's floors."""
    trial = _torch_trial(trained, bench.recipe.gate.margins)
    if ledger.judge(TRAIN, court, trial) is None:
        return False
    report = metrics.measure(court.reference, court.points, court.confidence)
    verdict = floors(report, bench.recipe.gate.floors)
    ledger.settle(TRAIN, report, verdict, "floors")
    return verdict.passed


def _torch_trial(artifact: Artifact, margins: Margins) -> Trial:
    return Trial(artifact, lambda: TorchBackend(load_network(artifact.path)), margins)


def _ids(cases: tuple[Case, ...]) -> list[str]:
    return [case.case_id for case in cases]


def train_plan(bench: Workbench) -> StepPlan:
    """What the first node depends on; `ulna train` makes the same one."""
    recipe = bench.recipe
    return StepPlan(
        "train",
        {
            "model": asdict(recipe.model),
            "train": asdict(recipe.train),
            "preprocess": asdict(recipe.preprocess),
            **_sets(bench),
        },
        (bench.dataset.digest, *_weights_digest(recipe.model)),
        recipe.seed,
        ("torch",),
    )


def _weights_digest(model: ModelOptions) -> tuple[str, ...]:
    """Of a weights file that the recipe names: another file under the same name is another training."""
    path = Path(model.weights)
    return (digest_files((path,)),) if model.weights and path.is_file() else ()


def _prune_plan(bench: Workbench, trained: Artifact) -> StepPlan:
    params = {"prune": asdict(bench.recipe.prune), "fit": _ids(bench.splits.fit)}
    parents = (trained.sha256, bench.dataset.digest)
    return StepPlan("prune", params, parents, bench.recipe.seed, ("torch", "torch-pruning"))


def _finetune_plan(bench: Workbench, trained: Artifact, pruned: Artifact) -> StepPlan:
    params = {"finetune": asdict(bench.recipe.finetune), **_sets(bench)}
    parents = (pruned.sha256, trained.sha256, bench.dataset.digest)
    return StepPlan("finetune", params, parents, bench.recipe.seed, ("torch",))


def _export_plan(bench: Workbench, tuned: Artifact) -> StepPlan:
    return StepPlan(
        "export", {"size_px": bench.recipe.preprocess.size_px}, (tuned.sha256,), 0, ("torch", "onnx")
    )


def _sets(bench: Workbench) -> dict[str, list[str]]:
    return {"fit": _ids(bench.splits.fit), "calibration": _ids(bench.splits.calibration)}


def _train(bench: Workbench, folder: Path) -> StepOutput:
    recipe = bench.recipe
    with bench.reporter.task("training") as advance:
        run = TrainRun(folder, recipe.seed, None, advance)
        return train_network(recipe.model, _data(bench), recipe.train, run)


def _prune(bench: Workbench, trained: Artifact, folder: Path) -> StepOutput:
    return prune(trained.path, folder, bench.recipe.prune, _data(bench).fit)


def _finetune(bench: Workbench, trained: Artifact, pruned: Artifact, folder: Path) -> StepOutput:
    with bench.reporter.task("fine-tuning") as advance:
        run = TrainRun(folder, bench.recipe.seed, load_network(trained.path), advance)
        return finetune_network(load_network(pruned.path), _data(bench), bench.recipe.finetune, run)


def _export(bench: Workbench, tuned: Artifact, folder: Path) -> StepOutput:
    samples = bench.tensors.stack(bench.splits.calibration[:_EXPORT_SAMPLES])
    return export(tuned.path, folder, samples)


def _data(bench: Workbench) -> TrainData:
    return train_data(bench.tensors, bench.splits.fit, bench.splits.calibration)
