"""A quantized branch that nothing else mended: its network learns to bear the rounding, then becomes a graph.

Fit patients teach, with the original checkpoint's answers; calibration patients give the scale of the logits,
and choose the epoch where the recipe says so. The gate patients are asked once, about what the target's own
quantizer makes of the graph, and that is one more look at them (compress.branches).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compress.artifact import Artifact, StepOutput
from compress.checkpoint import TRAINERS
from compress.fallback.options import confidence_of_look
from compress.judgement import Look
from compress.ledger import Ledger, Node
from compress.qat.options import QatOptions
from compress.qat.simulate import Grid
from compress.qat.teach import teach
from compress.step import StepPlan
from compress.steps.quantize import reduces_range
from compress.training.loop import TrainRun
from compress.trunk import export_body, export_plan
from compress.workbench import Workbench
from compress.zoo.checkpoint import load_network
from runtime.anomaly import FeatureStatistics

KIND = "qat"
SUFFIX = f"-{KIND}"
"""Of the branch that grows from the taught network: onnxruntime/int8-qat."""
_SYMMETRIC = ("tensorrt",)
"""Targets whose activations have no zero point."""


@dataclass(frozen=True)
class School:
    """network: that the exported graph was made from. checkpoint: the original one, which teaches it.

    statistics: of that graph's features, None where the recipe wants none.
    """

    network: Artifact
    checkpoint: Artifact
    statistics: Artifact | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        """Digests of all of them."""
        whole = (self.network, self.checkpoint, self.statistics)
        return tuple(artifact.sha256 for artifact in whole if artifact is not None)

    def familiar(self) -> FeatureStatistics | None:
        """What the features must stay near."""
        found = self.statistics
        return None if found is None else FeatureStatistics.from_bytes(found.path.read_bytes())


@dataclass(frozen=True)
class Lesson:
    """One target's training. engine: the target, precision: that of its branch."""

    bench: Workbench
    ledger: Ledger
    school: School
    engine: str
    precision: str

    @property
    def trained(self) -> Node:
        """The taught network."""
        title = f"quantization-aware training for {self.engine}"
        return self._node("trained", self.school.network.step, title, KIND)

    @property
    def exported(self) -> Node:
        """Its float graph."""
        title = f"export to ONNX, taught for {self.engine}"
        return self._node("exported", self.trained.name, title, "export")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In the order they are made."""
        return self.trained, self.exported

    def _node(self, word: str, parent: str, title: str, kind: str) -> Node:
        name = f"{self.engine}/{self.precision}{SUFFIX}-{word}"
        return Node(name, parent, title, kind, self.engine, self.precision)


def taught_graph(lesson: Lesson) -> Artifact:
    """The float graph of the taught network. Raises UlnaError, which the record has at its node."""
    bench, ledger, node = lesson.bench, lesson.ledger, lesson.trained
    grid = grid_of(lesson.engine)
    plan = _plan(lesson, grid)
    trained = ledger.make(node, plan, lambda folder: _teach(lesson, grid, folder)).artifact
    ledger.histories[node.name] = trained.facts["history"]
    plan = export_plan(bench, lesson.exported, trained)
    return ledger.make(lesson.exported, plan, lambda folder: export_body(bench, trained, folder)).artifact


def grid_of(engine: str) -> Grid:
    """What the target's quantizer rounds to on this processor."""
    return Grid(engine in _SYMMETRIC, 7 if reduces_range(engine) else 8)


def next_look(ledger: Ledger, lesson: Lesson, options: QatOptions, confidence: float) -> Look:
    """The look after all that this branch has had. confidence: of the gate.

    The plain INT8's is the first, each mixed graph's another (compress.fallback).
    """
    numbers = [
        node.verdict["look"]["number"]
        for node in ledger.nodes
        if (node.engine, node.precision) == (lesson.engine, lesson.precision) and "look" in node.verdict
    ]
    number = max(numbers, default=1) + 1
    facts: dict[str, Any] = {"trained_epochs": options.epochs, "why": "nothing else mended it"}
    return Look(number, confidence_of_look(options.first_confidence(confidence), number), facts)


def _plan(lesson: Lesson, grid: Grid) -> StepPlan:
    bench, school = lesson.bench, lesson.school
    sets = {name: [case.case_id for case in getattr(bench.splits, name)] for name in ("fit", "calibration")}
    params = {"qat": asdict(bench.recipe.qat), "grid": asdict(grid), **bench.learning_params(), **sets}
    parents = (*school.parents, bench.dataset.digest)
    return StepPlan(lesson.trained.name, params, parents, bench.recipe.seed, noted=TRAINERS)


def _teach(lesson: Lesson, grid: Grid, folder: Path) -> StepOutput:
    bench, school = lesson.bench, lesson.school
    with bench.reporter.task(lesson.trained.title) as advance:
        run = TrainRun(folder, bench.recipe.seed, load_network(school.checkpoint.path), advance)
        network, data = load_network(school.network.path), bench.train_data()
        return teach(network, data, bench.recipe.qat, grid, run, school.familiar())
