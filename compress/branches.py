"""One branch a target: quantize by the target's own recipe, compile, each judged before the next is begun.

An error in one branch is recorded there and costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from compress.against_float import FLOAT, NOT_MEASURED, AgainstFloat, time_in_turns
from compress.artifact import STATUS_DEFERRED, Artifact, StepOutput
from compress.calibrating import calibration_of
from compress.fallback.run import Stopped, mend
from compress.judgement import Court, Judged, Look, Trial
from compress.layers.measured import layer_facts
from compress.ledger import FAILED, NOT_FASTER, STOPPED, Ledger, Node
from compress.lint.before_compile import lint_before_compile
from compress.options.target import TargetOptions
from compress.predictions import Predictions
from compress.qat.run import SUFFIX, Lesson, School, next_look, taught_graph
from compress.recipe import Recipe
from compress.release import Shippable
from compress.step import StepPlan
from compress.steps.half_precision import halve
from compress.steps.quantize import reduces_range
from compress.steps.statistics import strangeness
from compress.targets import TARGETS, Opener, Target
from compress.trunk import EXPORT, WHOLE
from compress.workbench import Workbench
from runtime.anomaly import AnomalyDetector
from runtime.errors import RecipeError, StepError, UlnaError

INT8 = "int8"
_SAMPLES = 8


@dataclass(frozen=True)
class Graft:
    """What branches grow from: the exported graph, its predictions on the gate patients, and the court.

    anomaly: what tells strange pictures, None where the recipe wants nothing of the kind. whole: the graph of
    the unpruned network, where what is grown was pruned: every engine must be faster than its own. school:
    what quantization-aware training needs, None where nothing may be trained any more.
    """

    bench: Workbench
    ledger: Ledger
    court: Court
    exported: Artifact
    reference: Predictions
    anomaly: AnomalyDetector | None = None
    whole: Artifact | None = None
    school: School | None = None


@dataclass(frozen=True)
class _Branch:
    """One precision of one target.

    look: at the gate patients, None where there is no other. taught: the graph of the network that was
    trained for this branch, None for the exported one.
    """

    options: TargetOptions
    precision: str
    look: Look | None = None
    taught: Artifact | None = None

    @property
    def target(self) -> Target:
        return target_of(self.options)

    @property
    def quantized(self) -> bool:
        return self.precision == INT8

    @property
    def converted(self) -> bool:
        """Whether another graph than the exported one is compiled."""
        return self.precision != FLOAT

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In the order they are made."""
        engine, title = self.options.engine, self.target.title
        name = f"{engine}/{self.precision}" + (SUFFIX if self.taught else "")
        if not self.converted:
            return (Node(name, EXPORT.name, f"{title} {self.precision}", "compile", engine, self.precision),)
        verb = "quantize" if self.quantized else "halve"
        before, parent = f"{name}-{verb}d", self.taught.step if self.taught else EXPORT.name
        return (
            Node(before, parent, f"{verb} for {title}", verb, engine, self.precision),
            Node(name, before, f"{title} {self.precision}", "compile", engine, self.precision),
        )

    @property
    def whole_nodes(self) -> tuple[Node, ...]:
        """The same of the unpruned network: only timed, for what was pruned to be compared with."""
        parent, nodes = WHOLE.name, []
        for node in replace(self, taught=None).nodes:
            name, title = f"{node.name}-whole", f"{node.title}, unpruned"
            nodes.append(replace(node, name=name, parent=parent, title=title, kind="timed"))
            parent = name
        return tuple(nodes)


def target_of(options: TargetOptions) -> Target:
    """The target that a recipe names. Raises RecipeError for one that does not exist."""
    try:
        return TARGETS[options.engine]
    except KeyError:
        raise RecipeError(f"no target {options.engine!r}", f"targets: {', '.join(TARGETS)}") from None


def branch_nodes(recipe: Recipe) -> tuple[Node, ...]:
    """All nodes of the recipe's targets that may ship, in the order they are made."""
    return tuple(node for branch in _branches(recipe) for node in branch.nodes)


def grow_branches(graft: Graft) -> tuple[Shippable, ...]:
    """Make and judge every branch; what passed may ship."""
    shippable: list[Shippable] = []
    for branch in _branches(graft.bench.recipe):
        try:
            shippable += _grow(graft, branch)
        except UlnaError as error:
            graft.bench.reporter.say(f"  [red]{escape(str(error))}[/red] {escape(error.hint)}")
            graft.ledger.blame(branch.nodes, error)
        # Here and not at the end, so that the record keeps the order of the tree.
        for node in branch.nodes:
            graft.ledger.skip_unless_made(node)
    return tuple(shippable)


def _branches(recipe: Recipe) -> Iterator[_Branch]:
    for options in recipe.targets:
        for precision in options.precisions:
            yield _Branch(options, precision, _first_look(recipe) if precision == INT8 else None)


def _first_look(recipe: Recipe) -> Look | None:
    """Where a training may ask for another look at the gate patients, the first one already pays for it."""
    confidence = recipe.qat.first_confidence(recipe.gate.confidence)
    return Look(1, confidence, {"why": "training may ask for another"}) if recipe.qat.is_active else None


def _grow(graft: Graft, branch: _Branch) -> Iterator[Shippable]:
    source = branch.taught or graft.exported
    if branch.converted:
        source = _convert(graft, branch, branch.nodes[0], source)
        if _judge(graft, branch, branch.nodes[0], source) is None:
            yield from _rescue(graft, branch, source)
            return
    node = branch.nodes[-1]
    findings = lint_before_compile(graft.ledger, graft.bench.reporter, node, source.path)
    compiled = _compile(graft, branch, node, source)
    graft.ledger.remark(node, lint=findings)
    judged = _judge(graft, branch, node, compiled)
    if judged is None:
        yield from _rescue(graft, branch, source)
    if judged is not None and _pays(graft, branch, compiled):
        yield _ship(graft, branch, node, compiled, judged)


def _ship(graft: Graft, branch: _Branch, node: Node, compiled: Artifact, judged: Judged) -> Shippable:
    """What passed, unless it takes too many radiographs for strange ones: then StepError."""
    run = branch.target.open(compiled)
    with graft.ledger.recording_errors(node):
        strange = _require_familiar(graft, branch, node, run)
    return Shippable(
        _engine(branch, compiled),
        branch.precision,
        compiled,
        judged.predictions,
        run.open_backend,
        _note(compiled, run.numerics_from),
        judged.own,
        strange,
    )


def _rescue(graft: Graft, branch: _Branch, quantized: Artifact) -> Iterator[Shippable]:
    """What a quantized branch whose gate did not pass may try: layers in float, and last a training."""
    if not branch.quantized or branch.taught is not None:
        return
    ledger = graft.ledger
    for node in branch.nodes:
        ledger.skip_unless_made(node)
    plain = f"{branch.options.engine}/{FLOAT}"
    stopped = any(
        node.name == plain and node.status in (STOPPED, NOT_FASTER, FAILED) for node in ledger.nodes
    )
    if stopped:  # what fails in float is mended neither by float nor by getting used to INT8
        return
    yield from tuple(_fall_back(graft, branch, quantized)) or _retrain(graft, branch)


def _fall_back(graft: Graft, branch: _Branch, quantized: Artifact) -> Iterator[Shippable]:
    """The same branch with its worst layers in float, where the recipe has a budget."""
    ledger, nodes = graft.ledger, branch.nodes
    if not graft.bench.recipe.fallback.budget:
        return
    mended = mend(
        Stopped(
            bench=graft.bench,
            ledger=ledger,
            court=graft.court,
            node=nodes[0],
            quantized=quantized,
            exported=graft.exported,
            original=graft.whole or graft.exported,
            target=branch.target,
            options=branch.options,
            confidence=branch.look.confidence if branch.look else graft.court.confidence,
        )
    )
    if mended is not None:
        item = _ship(graft, branch, mended.node, mended.compiled, mended.judged)
        ledger.replace_stopped((*nodes, *mended.before))
        yield item


def _retrain(graft: Graft, branch: _Branch) -> Iterator[Shippable]:
    """The same branch from a network trained with simulated quantization, where the recipe asks for it."""
    recipe, ledger = graft.bench.recipe, graft.ledger
    if graft.school is None or not recipe.qat.is_active:
        return
    lesson = Lesson(graft.bench, ledger, graft.school, branch.options.engine, branch.precision)
    failed = ledger.stopped_of(branch.options.engine, branch.precision)
    look = next_look(ledger, lesson, recipe.qat, recipe.gate.confidence)
    nodes = lesson.nodes
    try:
        taught = replace(branch, look=look, taught=taught_graph(lesson))
        nodes = (*nodes, *taught.nodes)
        item = next(_grow(graft, taught), None)
    except UlnaError as error:
        graft.bench.reporter.say(f"  [red]{escape(str(error))}[/red] {escape(error.hint)}")
        ledger.blame(nodes, error)
        return
    for node in nodes:
        ledger.skip_unless_made(node)
    if item is not None:
        ledger.replace_stopped(failed)
        yield item


def _pays(graft: Graft, branch: _Branch, compiled: Artifact) -> bool:
    """Whether pruning and conversion made the engine faster, each measured whatever the other shows."""
    worth_pruning = _is_worth_pruning(graft, branch, compiled)
    return _is_worth_converting(graft, branch, compiled) and worth_pruning


def _is_worth_converting(graft: Graft, branch: _Branch, compiled: Artifact) -> bool:
    """Whether it is faster than the float engine of the same network; one that is not stops."""
    if not branch.converted:
        return True
    beside = AgainstFloat(
        graft.bench,
        graft.ledger,
        branch.target,
        graft.exported,
        graft.court.cases[0],
        branch.options.must_be_faster,
    )
    return beside.may_go_on(branch.nodes[-1], branch.target.open(compiled))


def _is_worth_pruning(graft: Graft, branch: _Branch, compiled: Artifact) -> bool:
    """Whether the engine is faster than the unpruned network's by the same recipe; one that is not stops.

    Where nothing was pruned, or this machine cannot run the engine, there is nothing to measure.
    """
    node, run = branch.nodes[-1], branch.target.open(compiled)
    if graft.whole is None:
        return True
    if run.numerics_from:
        graft.ledger.remark(node, speed=NOT_MEASURED)
        return True
    made = graft.whole
    if branch.converted:
        made = _convert(graft, branch, branch.whole_nodes[0], made)
    made = _compile(graft, branch, branch.whole_nodes[-1], made)
    with graft.ledger.recording_errors(node):
        speed = time_in_turns(branch.target.open(made), run, graft.bench, graft.court.cases[0])
    enough = speed.faster or not graft.bench.recipe.prune.must_be_faster
    graft.ledger.note_speed(node, speed, enough)
    return enough


def _require_familiar(graft: Graft, branch: _Branch, node: Node, run: Opener) -> NDArray[np.float64] | None:
    """How strange each radiograph of the gate patients is to an engine, as a share of what is refused.

    None where nothing tells strange pictures. Raises StepError for an engine that refuses too many.
    """
    if graft.anomaly is None:
        return None
    strange = strangeness(run.open_backend, graft.anomaly, graft.bench.tensors, graft.court.cases)
    share = float((~(strange <= 1)).mean())
    graft.ledger.remark(node, refused_as_strange=share)
    most = graft.bench.recipe.anomaly.most_refused
    if share > most:
        raise StepError(
            f"{node.name} would refuse {share:.1%} of the gate radiographs as strange, at most {most:.1%}",
            "raise [qat] features_weight, or lower its learning_rate"
            if branch.taught
            else "raise [anomaly] refuse_above, or leave the statistics out with quantile = 0",
        )
    return strange


def _convert(graft: Graft, branch: _Branch, node: Node, source: Artifact) -> Artifact:
    return (_quantize if branch.quantized else _halve)(graft, branch, node, source)


def _halve(graft: Graft, branch: _Branch, node: Node, source: Artifact) -> Artifact:
    images = calibration_of(graft.bench, branch.options.calibration_cases)  # to compare on, not to learn from

    def body(folder: Path) -> StepOutput:
        return halve(source.path, folder, images)

    return graft.ledger.make(node, _plan(graft, branch, node, {}, (source.sha256,)), body).artifact


def _quantize(graft: Graft, branch: _Branch, node: Node, source: Artifact) -> Artifact:
    images = calibration_of(graft.bench, branch.options.calibration_cases)
    # Another processor may need another range of weights: what was quantized for this one is not for that.
    reduce_range = reduces_range(branch.options.engine)
    params = {"calibration": images.digest, "reduce_range": reduce_range, **branch.options.conversion}

    def body(folder: Path) -> StepOutput:
        return branch.target.quantize(source.path, folder, images, branch.options)

    quantized = graft.ledger.make(node, _plan(graft, branch, node, params, (source.sha256,)), body).artifact
    if node in branch.nodes:
        graft.ledger.remark(node, layer_parity=layer_facts(source, quantized, images))
    return quantized


def _compile(graft: Graft, branch: _Branch, node: Node, source: Artifact) -> Artifact:
    samples = graft.bench.tensors.stack(graft.bench.splits.calibration[:_SAMPLES])

    def body(folder: Path) -> StepOutput:
        return branch.target.compile(source.path, folder, samples)

    return graft.ledger.make(node, _plan(graft, branch, node, {}, (source.sha256,)), body).artifact


def _plan(
    graft: Graft, branch: _Branch, node: Node, params: dict[str, object], parents: tuple[str, ...]
) -> StepPlan:
    return StepPlan(node.name, params, parents, graft.bench.recipe.seed, branch.target.tools)


def _judge(graft: Graft, branch: _Branch, node: Node, artifact: Artifact) -> Judged | None:
    """Judge the artifact itself, or where this machine cannot run it, the graph it was compiled from."""
    gates = graft.bench.recipe.gate
    run = branch.target.open(artifact)
    trial = Trial(
        artifact,
        run.open_backend,
        gates.margins,
        numerics_from=run.numerics_from,
        same_as=None if branch.converted else graft.reference,
        parity_limit=gates.parity_logit,
        look=branch.look,
        refits=branch.converted or graft.whole is not None,
    )
    return graft.ledger.judge(node, graft.court, trial)


def _engine(branch: _Branch, compiled: Artifact) -> str:
    """TensorRT's two forms are two engines to the runtime; a deferred build is for the device's own."""
    return compiled.format if compiled.format.startswith("tensorrt") else branch.options.engine


def _note(artifact: Artifact, numerics_from: str) -> str:
    if artifact.status == STATUS_DEFERRED:
        return f"to be built on the device; gated by {numerics_from}"
    return f"compiled ahead of time; gated by {numerics_from}" if numerics_from else ""
