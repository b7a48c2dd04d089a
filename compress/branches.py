"""One branch a target: quantize by the target's own recipe, compile, each judged before the next is begun.

An error in one branch is recorded there and costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.markup import escape

from compress.artifact import STATUS_DEFERRED, Artifact, StepOutput
from compress.calibrating import calibration_of
from compress.fallback.run import Stopped, mend
from compress.faster import Speed, compare_speed
from compress.judgement import Court, Judged, Trial
from compress.layers.measured import layer_facts
from compress.ledger import FAILED, NOT_FASTER, STOPPED, Ledger, Node
from compress.lint.files import lint_file
from compress.lint.finding import WARNING
from compress.lint.words import grouped, require_no_errors
from compress.predictions import Predictions
from compress.recipe import Recipe, TargetOptions
from compress.release import Shippable
from compress.step import StepPlan
from compress.steps.half_precision import halve
from compress.steps.quantize import reduces_range
from compress.steps.statistics import refused_share
from compress.targets import TARGETS, Opener, Target
from compress.trunk import EXPORT, WHOLE
from compress.workbench import Workbench
from runtime.anomaly import AnomalyDetector
from runtime.backends.feeds import image_alone
from runtime.errors import RecipeError, StepError, UlnaError

FLOAT, INT8 = "fp32", "int8"
_SAMPLES = 8


@dataclass(frozen=True)
class Graft:
    """What branches grow from: the exported graph, its predictions on the gate patients, and the court.

    anomaly: what tells strange pictures, None where the recipe wants nothing of the kind. whole: the graph of
    the unpruned network, where what is grown was pruned: every engine must be faster than its own.
    """

    bench: Workbench
    ledger: Ledger
    court: Court
    exported: Artifact
    reference: Predictions
    anomaly: AnomalyDetector | None = None
    whole: Artifact | None = None


@dataclass(frozen=True)
class _Branch:
    """One precision of one target."""

    options: TargetOptions
    precision: str

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
        name = f"{engine}/{self.precision}"
        if not self.converted:
            return (Node(name, EXPORT.name, f"{title} {self.precision}", "compile", engine, self.precision),)
        verb = "quantize" if self.quantized else "halve"
        before = f"{name}-{verb}d"
        return (
            Node(before, EXPORT.name, f"{verb} for {title}", verb, engine, self.precision),
            Node(name, before, f"{title} {self.precision}", "compile", engine, self.precision),
        )

    @property
    def whole_nodes(self) -> tuple[Node, ...]:
        """The same of the unpruned network: only timed, for what was pruned to be compared with."""
        parent, nodes = WHOLE.name, []
        for node in self.nodes:
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
            yield _Branch(options, precision)


def _grow(graft: Graft, branch: _Branch) -> Iterator[Shippable]:
    source = graft.exported
    if branch.converted:
        source = _convert(graft, branch, branch.nodes[0], source)
        if _judge(graft, branch, branch.nodes[0], source) is None:
            yield from _fall_back(graft, branch, source)
            return
    node = branch.nodes[-1]
    findings = _lint(graft, branch, node, source)
    compiled = _compile(graft, branch, node, source)
    graft.ledger.remark(node, lint=findings)
    judged = _judge(graft, branch, node, compiled)
    if judged is None:
        yield from _fall_back(graft, branch, source)
    if judged is not None and _is_worth_pruning(graft, branch, compiled):
        yield _ship(graft, branch, node, compiled, judged)


def _ship(graft: Graft, branch: _Branch, node: Node, compiled: Artifact, judged: Judged) -> Shippable:
    """What passed, unless it takes too many radiographs for strange ones: then StepError."""
    run = branch.target.open(compiled)
    with graft.ledger.recording_errors(node):
        _require_familiar(graft, node, run)
    return Shippable(
        _engine(branch, compiled),
        branch.precision,
        compiled,
        judged.predictions,
        run.open_backend,
        _note(compiled, run.numerics_from),
    )


def _fall_back(graft: Graft, branch: _Branch, quantized: Artifact) -> Iterator[Shippable]:
    """The same branch with its worst layers in float, where it is quantized and the recipe has a budget."""
    if not branch.quantized:
        return
    ledger, nodes = graft.ledger, branch.nodes
    for node in nodes:
        ledger.skip_unless_made(node)
    plain = f"{branch.options.engine}/{FLOAT}"
    stopped = any(
        node.name == plain and node.status in (STOPPED, NOT_FASTER, FAILED) for node in ledger.nodes
    )
    if not graft.bench.recipe.fallback.budget or stopped:  # what fails in float is not mended by float
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
        )
    )
    if mended is not None:
        item = _ship(graft, branch, mended.node, mended.compiled, mended.judged)
        ledger.replace_stopped((*nodes, *mended.before))
        yield item


def _lint(graft: Graft, branch: _Branch, node: Node, source: Artifact) -> list[dict[str, str]]:
    """What the engine would make of the graph, before it is compiled: warnings are said, an error is recorded
    at the node and stops the branch as a gate does.
    """
    graft.ledger.skip_unless_made(node)
    with graft.ledger.recording_errors(node):
        findings = lint_file(source.path, branch.options.engine)
        table = [finding.to_json() for finding in findings]
        graft.ledger.remark(node, lint=table)
        for group in grouped(finding for finding in findings if finding.severity == WARNING):
            graft.bench.reporter.say(f"  [yellow]{group.first.engine}: {escape(group.line)}[/yellow]")
        require_no_errors(findings)
    return table


def _is_worth_pruning(graft: Graft, branch: _Branch, compiled: Artifact) -> bool:
    """Whether the engine is faster than the unpruned network's by the same recipe; one that is not stops.

    Where nothing was pruned, or this machine cannot run the engine, there is nothing to measure.
    """
    node, run = branch.nodes[-1], branch.target.open(compiled)
    if graft.whole is None:
        return True
    if run.numerics_from:
        graft.ledger.remark(node, speed={"not_measured": "this machine cannot run the engine"})
        return True
    made = graft.whole
    if branch.converted:
        made = _convert(graft, branch, branch.whole_nodes[0], made)
    made = _compile(graft, branch, branch.whole_nodes[-1], made)
    with graft.ledger.recording_errors(node):
        speed = _time(graft, branch.target.open(made), run)
    enough = speed.faster or not graft.bench.recipe.prune.must_be_faster
    graft.ledger.note_speed(node, speed, enough)
    return enough


def _time(graft: Graft, whole: Opener, pruned: Opener) -> Speed:
    backends = whole.open_backend(), pruned.open_backend()
    try:
        image = graft.bench.tensors.tensor(graft.court.cases[0])
        return compare_speed(*backends, image_alone(backends[0].inputs, image))
    finally:
        for backend in backends:
            backend.close()


def _require_familiar(graft: Graft, node: Node, run: Opener) -> None:
    """Raise StepError for an engine to which too many radiographs of the gate patients look strange."""
    if graft.anomaly is None:
        return
    share = refused_share(run.open_backend, graft.anomaly, graft.bench.tensors, graft.court.cases)
    graft.ledger.remark(node, refused_as_strange=share)
    most = graft.bench.recipe.anomaly.most_refused
    if share > most:
        raise StepError(
            f"{node.name} would refuse {share:.1%} of the gate radiographs as strange, at most {most:.1%}",
            "raise [anomaly] refuse_above, or leave the statistics out with quantile = 0",
        )


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
    params = {"calibration": images.digest, "reduce_range": reduce_range, **asdict(branch.options)}

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
    )
    return graft.ledger.judge(node, graft.court, trial)


def _engine(branch: _Branch, compiled: Artifact) -> str:
    """TensorRT's two forms are two engines to the runtime; a deferred build is for the device's own."""
    return compiled.format if compiled.format.startswith("tensorrt") else branch.options.engine


def _note(artifact: Artifact, numerics_from: str) -> str:
    if artifact.status == STATUS_DEFERRED:
        return f"to be built on the device; gated by {numerics_from}"
    return f"compiled ahead of time; gated by {numerics_from}" if numerics_from else ""
