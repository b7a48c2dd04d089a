"""A quantized branch whose gate did not pass: its worst layers go back to float until it does, or may not.

Ranking and screens are on the selection patients (those of the calibration set) alone; the gate patients are
asked once for each graph that the screens promise.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.markup import escape

from compress.against_float import AgainstFloat
from compress.artifact import Artifact, StepOutput
from compress.calibrating import calibration_of, choose_cases
from compress.checkpoint import open_onnx
from compress.datasets.base import Case
from compress.evaluate import predict
from compress.fallback.mixed import Mixer, mixed_backend, open_mixer
from compress.fallback.options import confidence_of_look
from compress.fallback.rank import Ranking, logit_error, measure_ranking
from compress.fallback.search import NOT_FASTER, Found, Screen, Try, search
from compress.gate import PASS, Rules, gate
from compress.judgement import Court, Judged, Look, Trial
from compress.ledger import Ledger, Node
from compress.lint.files import lint_file
from compress.lint.words import require_no_errors
from compress.options.target import TargetOptions
from compress.predictions import Predictions
from compress.refit import refit
from compress.step import StepPlan, run_step
from compress.steps.smooth import smoothed_file
from compress.targets import Target
from compress.workbench import Workbench
from runtime.errors import InferenceError, UlnaError

FACT = "fallback"
"""Its name among the facts of a node."""
RANKING_FILE = "ranking.json"
MIXED = "mixed"
_RANKING_IMAGES = 64
_SAMPLES = 8


@dataclass(frozen=True)
class Stopped:
    """A quantized branch whose gate did not pass.

    node: the quantize node. exported: the float graph that it was made from, which passed. original: the
    graph of the original checkpoint, which every gate compares with; another where the network was pruned.
    confidence: of the first look, the one that did not pass.
    """

    bench: Workbench
    ledger: Ledger
    court: Court
    node: Node
    quantized: Artifact
    exported: Artifact
    original: Artifact
    target: Target
    options: TargetOptions
    confidence: float


@dataclass(frozen=True)
class Mended:
    """The engine that passed. before: nodes of earlier looks, which did not."""

    node: Node
    compiled: Artifact
    judged: Judged
    before: tuple[Node, ...] = ()


def mend(stopped: Stopped) -> Mended | None:
    """Search, and note what was seen at the quantize node. None where nothing passed or an error came."""
    try:
        return _Mending(stopped).run()
    except UlnaError as error:
        words = "; ".join(filter(None, (str(error), error.hint)))
    except Exception as error:  # tools of others raise whatever they like, and the branch stays stopped
        words = f"{type(error).__name__}: {error}"
    why = f"could not be carried out: {words}"
    stopped.ledger.remark(stopped.node, **{FACT: {"why": why}})
    stopped.bench.reporter.say(f"  [red]{escape(why)}[/red]")
    return None


def mixed_node(before: Node, look: int) -> Node:
    """The node that look number `look` is at. before: the quantize node."""
    name = f"{before.engine}/{before.precision}-{MIXED}" + ("" if look == 2 else f"-{look}")
    title = f"{before.engine} {before.precision}, some layers in float"
    return Node(name, before.name, title, "compile", before.engine, before.precision)


def _open_mixer(stopped: Stopped) -> Mixer:
    """The weights that go back to float are those of the graph that was quantized: smoothed where it was."""
    options, source, quantized = stopped.options, stopped.exported.path, stopped.quantized.path
    if not options.smooth:
        return open_mixer(source, quantized)
    images = calibration_of(stopped.bench, options.calibration_cases)
    with smoothed_file(source, images.spread(options.calibration_cases), options.smooth) as (smoothed, _):
        return open_mixer(smoothed, quantized)


class _Mending:
    def __init__(self, stopped: Stopped) -> None:
        self._at = stopped
        self._bench, self._recipe = stopped.bench, stopped.bench.recipe
        self._mixer = _open_mixer(stopped)
        self._selection = stopped.bench.splits.calibration
        self._mended: Mended | None = None

    def run(self) -> Mended | None:
        """See `mend`."""
        bench, ledger = self._bench, self._at.ledger
        bench.reporter.say(f"[bold]{self._at.node.title}: worst layers back to float[/bold]")
        ranking = self._rank()
        found = search(ranking.helpful, self._recipe.fallback, self._screen, self._look)
        facts = self._facts(ranking, found)
        ledger.remark(self._at.node, **{FACT: facts})
        if self._mended is not None:
            ledger.remark(self._mended.node, **{FACT: facts})
        bench.reporter.say(f"  {found.why}")
        return self._mended

    def _facts(self, ranking: Ranking, found: Found) -> dict[str, Any]:
        return {
            **asdict(self._recipe.fallback),
            "selection_patients": len({case.patient_id for case in self._selection}),
            "selection_images": len(self._selection),
            "ranking": ranking.to_json(),
            "tries": [item.to_json() for item in found.tries],
            "in_float": list(found.restored),
            "why": found.why,
        }

    def _rank(self) -> Ranking:
        """Once for the same graphs and images: kept as a step of its own."""
        cases = choose_cases(self._selection, _RANKING_IMAGES)
        name = f"{self._at.node.engine}/{self._at.node.precision}-ranking"
        plan = self._plan(
            name, {"cases": [case.case_id for case in cases], "data": self._bench.dataset.digest}
        )
        path = run_step(
            plan, self._bench.steps / name, lambda to: self._write_ranking(cases, to)
        ).artifact.path
        return Ranking.from_json(json.loads(path.read_text(encoding="utf-8")))

    def _write_ranking(self, cases: Sequence[Case], folder: Path) -> StepOutput:
        reference = self._of_graph(self._at.exported, cases)
        names = [group.name for group in self._mixer.groups]

        def error_with(groups: tuple[str, ...]) -> float:
            candidate = self._predict(groups, cases)
            return float("inf") if candidate is None else logit_error(reference, candidate)

        with self._bench.reporter.task("harm of each layer") as advance:
            ranking = measure_ranking(names, error_with, len(cases), advance)
        (folder / RANKING_FILE).write_text(json.dumps(ranking.to_json(), indent=1), encoding="utf-8")
        return StepOutput(RANKING_FILE, "json")

    @cached_property
    def _selection_reference(self) -> Predictions:
        return self._of_graph(self._at.original, self._selection)

    def _screen(self, groups: tuple[str, ...]) -> Screen:
        """The gate's own comparison, on the selection patients."""
        court, reference = self._at.court, self._selection_reference
        candidate = self._predict(groups, self._selection)
        if candidate is None:
            return Screen("fail", False, {})
        own = None if court.selection is None else refit(court.selection, candidate).points
        margins, rules = self._recipe.gate.margins, Rules(court.drift, candidate_points=own)
        screen = Screen.of(gate(reference, candidate, court.points, margins, court.confidence, rules))
        word = "worth a look" if screen.promising else "not worth a look"
        self._bench.reporter.say(f"  {len(groups)} in float: {screen.outcome} on selection patients, {word}")
        return screen

    def _look(self, tried: Try, before: tuple[Try, ...]) -> str:
        """Compile, time, and only where it is faster than float ask the gate patients."""
        node = mixed_node(self._at.node, tried.look)
        compiled = self._compile(node, tried.groups)
        if not self._is_fast_enough(node, compiled):
            return NOT_FASTER
        confidence = confidence_of_look(self._at.confidence, tried.look)
        said = [item.to_json() for item in (*before, tried)]
        look = Look(tried.look, confidence, {"in_float": list(tried.groups), "tries": said})
        run = self._at.target.open(compiled)
        trial = Trial(
            compiled,
            run.open_backend,
            self._recipe.gate.margins,
            numerics_from=run.numerics_from,
            look=look,
            refits=True,
        )
        seen = self._at.ledger.try_out(node, self._at.court, trial)
        if seen.passed:
            earlier = tuple(mixed_node(self._at.node, number) for number in range(2, tried.look))
            self._mended = Mended(node, compiled, seen, earlier)
        return PASS if seen.passed else seen.verdict.outcome

    def _compile(self, node: Node, groups: tuple[str, ...]) -> Artifact:
        samples = self._bench.tensors.stack(self._selection[:_SAMPLES])

        def body(folder: Path) -> StepOutput:
            with tempfile.TemporaryDirectory() as beside:
                source = Path(beside) / self._mixer.write(groups, Path(beside)).main
                findings = lint_file(source, self._at.options.engine)
                require_no_errors(findings)
                output = self._at.target.compile(source, folder, samples)
            lint = [finding.to_json() for finding in findings]
            return replace(output, facts={**output.facts, "in_float": list(groups), "lint": lint})

        return self._at.ledger.make(node, self._plan(node.name, {"in_float": list(groups)}), body).artifact

    def _is_fast_enough(self, node: Node, compiled: Artifact) -> bool:
        """Than the float engine of the same target, or need not be; true where this machine cannot run it."""
        at, must = self._at, self._at.options.must_be_faster
        beside = AgainstFloat(self._bench, at.ledger, at.target, at.exported, self._selection[0], must)
        return beside.may_go_on(node, at.target.open(compiled))

    def _plan(self, name: str, params: dict[str, Any]) -> StepPlan:
        parents = (self._at.quantized.sha256, self._at.exported.sha256)
        return StepPlan(name, params, parents, self._recipe.seed, self._at.target.tools)

    def _predict(self, groups: tuple[str, ...], cases: Sequence[Case]) -> Predictions | None:
        """None where the graph gives no case a sound answer."""
        with mixed_backend(self._mixer, groups, self._at.target) as backend:
            try:
                return predict(backend, self._at.court.spec, self._bench.tensors, cases)
            except InferenceError:
                return None

    def _of_graph(self, graph: Artifact, cases: Sequence[Case]) -> Predictions:
        backend = open_onnx(graph.path)
        try:
            return predict(backend, self._at.court.spec, self._bench.tensors, cases)
        finally:
            backend.close()
