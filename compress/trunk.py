"""The torch side of the tree: train -> prune -> finetune -> export, each judged before the next is begun.

With [prune] ratio = 0 there is nothing to prune or to mend: export grows from train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress import metrics
from compress.artifact import Artifact, StepOutput, digest_files
from compress.checkpoint import TRAINERS, is_graph, open_checkpoint, open_onnx, train_checkpoint
from compress.datasets.base import Case
from compress.gate import floors
from compress.judgement import Court, Judged, Trial, beside_released
from compress.ledger import Ledger, Node
from compress.opening import Opened, open_court
from compress.options.gate import Margins
from compress.predictions import Predictions
from compress.pruning.two_four import zeros_held
from compress.recipe import Recipe
from compress.step import StepPlan
from compress.steps.export_onnx import adopt, export
from compress.steps.prune import PruneData, prune, require_prunable
from compress.steps.statistics import FamiliarCases, fit_anomaly
from compress.steps.train import finetune_network
from compress.training.loop import TrainRun
from compress.workbench import Workbench
from compress.zoo.checkpoint import load_network
from compress.zoo.options import ModelOptions
from runtime import machine
from runtime.examination import ExaminationSpec

TRAIN = Node("train", "", "train", "train")
PRUNE = Node("prune", "train", "prune", "prune")
FINETUNE = Node("finetune", "prune", "fine-tune", "finetune")
EXPORT = Node("export", "finetune", "export to ONNX", "export")
WHOLE = Node("export-whole", "train", "export to ONNX, unpruned", "export")
ANOMALY = Node("anomaly", "export", "anomaly statistics", "statistics")

_EXPORT_SAMPLES = 8


@dataclass(frozen=True)
class Trunk:
    """What the branches start from: the court with its reference, the exported graph and its predictions.

    checkpoint: the original one, that everything is compared with. expectation, examination: see
    compress.opening. metadata: what facts of patients do (compress.withheld). statistics: those of features,
    None where the recipe wants none. whole: the unpruned network's graph, where the other one is pruned.
    ripe: the checkpoint that was exported. The graph, its predictions and `ripe` are None when a gate stopped
    the trunk before them.
    """

    checkpoint: Artifact
    court: Court
    expectation: dict[str, Any]
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)
    metadata: dict[str, Any] = field(default_factory=dict)
    exported: Artifact | None = None
    predictions: Predictions | None = None
    statistics: Artifact | None = None
    whole: Artifact | None = None
    ripe: Artifact | None = None


@dataclass(frozen=True)
class Beginning:
    """How the first node is made: its key, its body, and how thresholds are locked and the court opened.

    prunes: whether it is thinned out afterwards, where the recipe asks for that.
    """

    plan: Callable[[Workbench], StepPlan]
    train: Callable[[Workbench, Path], StepOutput]
    open: Callable[[Workbench, Artifact], Opened]
    prunes: bool = True


@dataclass(frozen=True)
class _Ripe:
    """A checkpoint that may be exported, and its answers on the gate patients."""

    artifact: Artifact
    predictions: Predictions


def trunk_nodes(recipe: Recipe, beginning: Beginning | None = None) -> tuple[Node, ...]:
    """In the order they are made. Raises RecipeError where a network is to be pruned that cannot be."""
    last = (ANOMALY,) if recipe.has_statistics else ()
    if not _prunes(recipe, beginning):
        return TRAIN, replace(EXPORT, parent=TRAIN.name), *last
    require_prunable(recipe.model.name)
    return TRAIN, PRUNE, FINETUNE, EXPORT, WHOLE, *last


def _prunes(recipe: Recipe, beginning: Beginning | None) -> bool:
    return recipe.prune.is_active and (beginning is None or beginning.prunes)


def grow_trunk(bench: Workbench, ledger: Ledger, beginning: Beginning | None = None) -> Trunk:
    """Make and judge the nodes, until a gate stops the trunk. beginning: None is the recipe alone."""
    begin = beginning or Beginning(train_plan, train_body, open_court)
    trained = ledger.make(TRAIN, begin.plan(bench), lambda folder: begin.train(bench, folder)).artifact
    if "files" in trained.params:
        ledger.remark(TRAIN, files=trained.params["files"])
    if "history" in trained.facts:
        ledger.histories["train"] = trained.facts["history"]
    with ledger.recording_errors(TRAIN):  # a network that answers nothing sound ends here
        opened = begin.open(bench, trained)
    bare = Trunk(trained, opened.court, opened.expectation, opened.examination, opened.metadata)
    return _grow_from_checkpoint(bench, ledger, bare, _prunes(bench.recipe, beginning))


def _grow_from_checkpoint(bench: Workbench, ledger: Ledger, bare: Trunk, prunes: bool) -> Trunk:
    trained = bare.checkpoint
    if not _judge_checkpoint(bench, ledger, bare.court, trained):
        return bare
    whole = _Ripe(trained, bare.court.reference)
    ripe = _thin_out(bench, ledger, bare.court, trained) if prunes else whole
    return bare if ripe is None else _grow_export(bench, ledger, bare, ripe)


def _thin_out(bench: Workbench, ledger: Ledger, court: Court, trained: Artifact) -> _Ripe | None:
    """Prune, then fine-tune; None when a gate stops it."""
    gates = bench.recipe.gate
    pruned = ledger.make(
        PRUNE, prune_plan(bench, trained), lambda to: prune_body(bench, trained, to)
    ).artifact
    trial = replace(_torch_trial(pruned, gates.prune_margins), may_drift=True, refits=True)
    if not ledger.judge(PRUNE, court, trial):
        return None
    plan = finetune_plan(bench, trained, pruned)
    tuned = ledger.make(FINETUNE, plan, lambda to: finetune_body(bench, trained, pruned, to)).artifact
    ledger.histories["finetune"] = tuned.facts["history"]
    judged = ledger.judge(FINETUNE, court, replace(_torch_trial(tuned, gates.margins), refits=True))
    return None if judged is None else _Ripe(tuned, judged.predictions)


def _grow_export(bench: Workbench, ledger: Ledger, bare: Trunk, ripe: _Ripe) -> Trunk:
    node = replace(EXPORT, parent=ripe.artifact.step)
    exported, repeated = _export_and_judge(bench, ledger, bare.court, node, ripe)
    if repeated is None:
        return bare
    whole = None
    if ripe.artifact is not bare.checkpoint:
        unpruned = _Ripe(bare.checkpoint, bare.court.reference)
        whole, same = _export_and_judge(bench, ledger, bare.court, WHOLE, unpruned)
        if same is None:
            return bare
    statistics = _fit_statistics(bench, ledger, exported) if bench.recipe.has_statistics else None
    grown = replace(bare, exported=exported, predictions=repeated.predictions, statistics=statistics)
    return replace(grown, whole=whole, ripe=ripe.artifact)


def _export_and_judge(
    bench: Workbench, ledger: Ledger, court: Court, node: Node, ripe: _Ripe
) -> tuple[Artifact, Judged | None]:
    """The graph, and None in place of a judgement that it did not pass."""
    gates, plan = bench.recipe.gate, export_plan(bench, node, ripe.artifact)
    exported = ledger.make(node, plan, lambda to: export_body(bench, ripe.artifact, to)).artifact
    trial = Trial(
        exported,
        lambda: open_onnx(exported.path),
        gates.margins,
        same_as=ripe.predictions,
        parity_limit=gates.parity_logit,
        refits=ripe.predictions is not court.reference,
    )
    return exported, ledger.judge(node, court, trial)


def _fit_statistics(bench: Workbench, ledger: Ledger, exported: Artifact) -> Artifact:
    options, splits = bench.recipe.anomaly, bench.splits
    cases = FamiliarCases(splits.fit, splits.calibration, splits.gate)
    params = {"anomaly": asdict(options), "gate": _ids(splits.gate), **_sets(bench)}
    plan = StepPlan(
        ANOMALY.name, params, (exported.sha256, bench.dataset.digest), 0, ("onnxruntime", "scikit-learn")
    )

    def body(folder: Path) -> StepOutput:
        with bench.reporter.task("features") as advance:
            return fit_anomaly(exported.path.read_bytes(), folder, bench.tensors, cases, options, advance)

    return ledger.make(ANOMALY, plan, body).artifact


def _judge_checkpoint(bench: Workbench, ledger: Ledger, court: Court, trained: Artifact) -> bool:
    """The checkpoint is compared with itself, with the recipe's floors and with a released one."""
    trial = _torch_trial(trained, bench.recipe.gate.margins)
    if ledger.judge(TRAIN, court, trial) is None:
        return False
    report = metrics.measure(court.reference, court.points, court.confidence)
    verdict = floors(report, bench.recipe.gate.floors)
    verdict = beside_released(verdict, court, court.reference, bench.recipe.gate.margins)
    ledger.settle(TRAIN, report, verdict, "floors")
    return verdict.passed


def _torch_trial(artifact: Artifact, margins: Margins) -> Trial:
    return Trial(artifact, lambda: open_checkpoint(artifact.path), margins)


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
            "calibrate": recipe.operating_points.calibrate,
            **({"classical": asdict(recipe.classical)} if recipe.is_classical else {}),
            **({"patches": asdict(recipe.patches)} if recipe.patches.share else {}),
            **bench.learning_params(),
            **_sets(bench),
        },
        (bench.dataset.digest, *_weights_digest(recipe.model)),
        recipe.seed,
        noted=TRAINERS,
    )


def _weights_digest(model: ModelOptions) -> tuple[str, ...]:
    """Of a weights file that the recipe names: another file under the same name is another training."""
    path = Path(model.weights)
    return (digest_files((path,)),) if model.weights and path.is_file() else ()


def prune_plan(bench: Workbench, trained: Artifact) -> StepPlan:
    """What pruning depends on; `ulna search` makes the same steps without their gates."""
    options = bench.recipe.prune
    params: dict[str, Any] = {"prune": asdict(options), **_sets(bench)}
    if options.target == "latency":
        here = machine.describe()  # another one may need another network
        params["timed_on"] = [here.cpu, here.usable_cores, *here.cpu_flags]
    parents = (trained.sha256, bench.dataset.digest)
    return StepPlan("prune", params, parents, bench.recipe.seed, ("torch", "torch-pruning"))


def finetune_plan(bench: Workbench, trained: Artifact, pruned: Artifact) -> StepPlan:
    """What fine-tuning depends on."""
    params = {"finetune": asdict(bench.recipe.finetune), **bench.learning_params(), **_sets(bench)}
    parents = (pruned.sha256, trained.sha256, bench.dataset.digest)
    return StepPlan("finetune", params, parents, bench.recipe.seed, noted=TRAINERS)


def export_plan(bench: Workbench, node: Node, tuned: Artifact) -> StepPlan:
    """What the graph of a network depends on."""
    params = {"size_px": bench.recipe.preprocess.size_px, "features": bench.recipe.has_statistics}
    return StepPlan(node.name, params, (tuned.sha256,), 0, ("torch", "onnx"))


def _sets(bench: Workbench) -> dict[str, list[str]]:
    return {"fit": _ids(bench.splits.fit), "calibration": _ids(bench.splits.calibration)}


def train_body(bench: Workbench, folder: Path) -> StepOutput:
    """Make the first node."""
    recipe = bench.recipe
    with bench.reporter.task("training") as advance:
        run = TrainRun(folder, recipe.seed, None, advance)
        return train_checkpoint(recipe, bench.train_data(), run)


def prune_body(bench: Workbench, trained: Artifact, folder: Path) -> StepOutput:
    """Take channels from the trained network."""
    options, data = bench.recipe.prune, bench.train_data()
    images = PruneData(data.fit, data.calibration)
    if not options.tolerance:
        return prune(trained.path, folder, options, images)
    with bench.reporter.task("sensitivity of groups") as advance:
        return prune(trained.path, folder, options, images, advance)


def finetune_body(bench: Workbench, trained: Artifact, pruned: Artifact, folder: Path) -> StepOutput:
    """Train the pruned network after the trained one."""
    network = load_network(pruned.path)
    with bench.reporter.task("fine-tuning") as advance, zeros_held(network):
        run = TrainRun(folder, bench.recipe.seed, load_network(trained.path), advance)
        return finetune_network(network, bench.train_data(), bench.recipe.finetune, run)


def export_body(bench: Workbench, tuned: Artifact, folder: Path) -> StepOutput:
    """Write the network as a graph, or take the graph that it is."""
    samples = bench.tensors.stack(bench.splits.calibration[:_EXPORT_SAMPLES])
    if is_graph(tuned.path):
        return adopt(tuned.path, folder)
    return export(tuned.path, folder, samples, bench.recipe.has_statistics)
