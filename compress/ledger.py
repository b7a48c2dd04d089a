"""Keeps the record of a run: every node that was made, judged, reused, stopped or never reached."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.markup import escape

from compress.artifact import Artifact, StepOutput
from compress.faster import Speed
from compress.gate import ParityVerdict, Verdict
from compress.judgement import Court, Judged, Trial, judge
from compress.metrics import MetricsReport
from compress.progress import ProgressReporter
from compress.record import NodeRecord
from compress.step import StepPlan, StepResult, run_step
from runtime.errors import StepError, UlnaError

STOPPED = "stopped"
NOT_RUN = "not run"
NOT_FASTER = "not faster"
FAILED = "failed"
REPLACED = "replaced"


@dataclass(frozen=True)
class Node:
    """A place in the tree: what it is called and what it is made from."""

    name: str
    parent: str
    title: str
    kind: str
    engine: str = ""
    precision: str = ""

    def record(self, status: str, **more: Any) -> NodeRecord:
        """The record of this node."""
        names = ("name", "parent", "title", "kind", "engine", "precision")
        return NodeRecord(**{name: getattr(self, name) for name in names}, status=status, **more)


class Ledger:
    """Nodes in the order they were made; written to `path` after each, so that nothing known is lost."""

    def __init__(self, folder: Path, reporter: ProgressReporter) -> None:
        self._folder = folder
        self._reporter = reporter
        self._nodes: dict[str, NodeRecord] = {}
        self.histories: dict[str, Any] = {}

    @property
    def nodes(self) -> tuple[NodeRecord, ...]:
        """All of them so far."""
        return tuple(self._nodes.values())

    @property
    def gate_stopped(self) -> tuple[str, ...]:
        """Names of the nodes whose gate did not pass."""
        return tuple(node.name for node in self.nodes if node.status in (STOPPED, NOT_FASTER))

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the nodes that could not be made."""
        return tuple(node.name for node in self.nodes if node.status == FAILED)

    def make(self, node: Node, plan: StepPlan, body: Callable[[Path], StepOutput]) -> StepResult:
        """Run the node's step, or take what is there. An error is recorded and passed on as an UlnaError."""
        self._reporter.say(f"[bold]{node.title}[/bold]")
        self._note(node.record(NOT_RUN))
        with self.recording_errors(node):
            result = run_step(plan, self._folder / node.name, body)
        artifact = result.artifact
        self._note(_of_artifact(node, artifact, result.reused))
        how = "unchanged, not run again" if result.reused else f"{artifact.seconds:.1f} s"
        self._reporter.say(f"  {how}, {artifact.size_bytes / 1e6:.2f} MB, {artifact.status}")
        return result

    def judge(self, node: Node, court: Court, trial: Trial) -> Judged | None:
        """Try the node on the gate patients; None when it must not go on."""
        judged = self.try_out(node, court, trial)
        return judged if judged.passed else None

    def try_out(self, node: Node, court: Court, trial: Trial) -> Judged:
        """The same, with what was seen of a node that must not go on."""
        with self.recording_errors(node), self._reporter.task(f"gate {node.name}") as advance:
            judged = judge(court, trial, advance)
        self.settle(node, judged.report, judged.verdict)
        self._update(node, latency_ms=judged.latency_ms, numerics_from=trial.numerics_from)
        if judged.parity is not None:
            self._note_parity(node, judged.parity)
        return judged

    def settle(self, node: Node, report: MetricsReport, verdict: Verdict, what: str = "gate") -> None:
        """Write metrics and verdict to the node; one that did not pass is stopped."""
        table = report.to_json()
        roc = table.pop("roc", {})
        self._update(node, metrics=table, verdict=verdict.to_json(), roc=roc)
        if not verdict.passed:
            self._update(node, status=STOPPED)
        self._reporter.say(f"  {what}: {_sentence(verdict)}")

    def remark(self, node: Node, **facts: Any) -> None:
        """Add to the facts of a node that was made."""
        self._update(node, facts={**self._nodes[node.name].facts, **facts})

    def note_speed(self, node: Node, speed: Speed, enough: bool) -> None:
        """What pruning did to an engine's time. enough: whether the engine may go on."""
        self.remark(node, speed={**speed.to_json("whole", "pruned"), "stops": not enough})
        self._note_if_faster(node, speed, enough, "pruned")

    def note_speed_against_float(self, node: Node, speed: Speed, enough: bool) -> None:
        """How a converted engine, or one with some layers in float, compares with the float one."""
        facts = {**speed.to_json("float", "converted"), "stops": not enough}
        self.remark(node, speed_against_float=facts)
        self._note_if_faster(node, speed, enough, "against float")

    def _note_if_faster(self, node: Node, speed: Speed, enough: bool, said: str) -> None:
        if not enough:
            self._update(node, status=NOT_FASTER)
        colour = "green" if speed.faster else "yellow" if enough else "red"
        self._reporter.say(f"  {said}: [{colour}]{escape(speed.sentence)}[/{colour}]")

    def _note_parity(self, node: Node, parity: ParityVerdict) -> None:
        facts = {**self._nodes[node.name].facts, "gate_parity": parity.to_json()}
        self._update(node, facts=facts, **({} if parity.passed else {"status": STOPPED}))
        if not parity.passed:
            worst = "no number" if parity.worst is None else f"{parity.worst:.3g}"
            self._reporter.say(
                f"  [red]parity: logits differ by {worst}, at most {parity.limit:g} {parity.reason}[/red]"
            )

    @contextmanager
    def recording_errors(self, node: Node) -> Iterator[None]:
        """Tools of others raise whatever they like; one target's trouble must not take the others with it."""
        try:
            yield
        except UlnaError as error:
            self._fail(node, _words(error))
            raise
        except OSError as error:
            words = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            self._fail(node, words)
            raise StepError(
                f"{node.name}: {words}", "free some space, or give the run another folder"
            ) from error
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            self._fail(node, words, traceback.format_exc())
            raise StepError(f"{node.name}: {words}", "steps/nodes.json holds the traceback") from error

    def blame(self, nodes: tuple[Node, ...], error: UlnaError) -> None:
        """Record an error from between the steps at the first node not made, unless one has it already."""
        known = [self._nodes[node.name] for node in nodes if node.name in self._nodes]
        if not any(record.status == FAILED for record in known):
            node = next((node for node in nodes if node.name not in self._nodes), nodes[-1])
            self.skip_unless_made(node)
            self._fail(node, _words(error))

    def withdraw(self, name: str, error: UlnaError) -> None:
        """Record at a node that was made, and passed, why it does not ship all the same."""
        self._fail(self._nodes[name], _words(error))
        self._reporter.say(f"  [red]{escape(_words(error))}[/red]")

    def _fail(self, node: Node | NodeRecord, error: str, trace: str = "") -> None:
        facts = {**self._nodes[node.name].facts, "error": error, **({"traceback": trace} if trace else {})}
        self._update(node, status=FAILED, facts=facts)

    def stopped_of(self, engine: str, precision: str) -> tuple[NodeRecord, ...]:
        """The nodes of a branch that went no further, or were never reached."""
        ended = (STOPPED, NOT_RUN, NOT_FASTER)
        return tuple(
            node
            for node in self.nodes
            if (node.engine, node.precision) == (engine, precision) and node.status in ended
        )

    def replace_stopped(self, nodes: Iterable[Node | NodeRecord]) -> None:
        """Another node passed and ships in the place of these: their gates no longer end the run."""
        for node in nodes:
            if self._nodes[node.name].status in (STOPPED, NOT_RUN, NOT_FASTER):
                self._update(node, status=REPLACED)

    def skip_unless_made(self, node: Node) -> None:
        """Note a node that was never reached."""
        if node.name not in self._nodes:
            self._note(node.record(NOT_RUN))

    def _update(self, node: Node | NodeRecord, **changes: Any) -> None:
        self._note(replace(self._nodes[node.name], **changes))

    def _note(self, record: NodeRecord) -> None:
        self._nodes[record.name] = record
        path = self._folder / "nodes.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps([vars(node) for node in self.nodes], indent=1), encoding="utf-8")
        partial.replace(path)


def _words(error: UlnaError) -> str:
    return "; ".join(filter(None, (str(error), error.hint)))


def _of_artifact(node: Node, artifact: Artifact, reused: bool) -> NodeRecord:
    return node.record(
        artifact.status,
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        seconds=artifact.seconds,
        peak_memory_bytes=artifact.peak_memory_bytes,
        reused=reused,
        facts=artifact.facts,
    )


def _sentence(verdict: Verdict) -> str:
    worst = [check for check in verdict.checks if check.outcome != "pass"]
    if not worst:
        return f"[green]{verdict.outcome}[/green]"
    reasons = "; ".join(f"{check.title}: {check.reason}" for check in worst)
    return f"[red]{verdict.outcome}[/red] ({reasons})"
