"""A converted engine beside the float engine of the same target and network: both timed in turns.

For who quantizes, halves or mixes: the float engine is the one that the run has made, or is compiled to be
timed.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import Artifact, StepOutput
from compress.datasets.base import Case
from compress.faster import Speed, compare_speed
from compress.ledger import Ledger, Node
from compress.step import StepPlan, load_step
from compress.targets import Opener, Target
from compress.workbench import Workbench
from runtime.backends.feeds import image_alone

FLOAT = "fp32"
CONVERTED = "converted"
NOT_MEASURED = {"not_measured": "this machine cannot run the engine"}
_SAMPLES = 8


@dataclass(frozen=True)
class AgainstFloat:
    """Where the engine stands, and what it was converted from.

    exported: the float graph. case: whose image both engines are timed on. must_be_faster: see
    compress.options.target.TargetOptions.
    """

    bench: Workbench
    ledger: Ledger
    target: Target
    exported: Artifact
    case: Case
    must_be_faster: bool = True

    def may_go_on(self, node: Node, run: Opener) -> bool:
        """Whether the engine is shown to be faster, or need not be; what was seen is noted at `node`.

        True where this machine cannot run it. Raises UlnaError where the float engine cannot be made or run.
        """
        speed = self.time(node, run)
        if speed is None:
            self.ledger.remark(node, speed_against_float=NOT_MEASURED)
            return True
        enough = speed.faster or not self.must_be_faster
        self.ledger.note_speed_against_float(node, speed, enough)
        return enough

    def time(self, node: Node, run: Opener) -> Speed | None:
        """None where this machine cannot run one of the two."""
        if run.numerics_from:
            return None
        plain = self.target.open(self._float_engine(node))
        if plain.numerics_from:
            return None
        with self.ledger.recording_errors(node):
            return time_in_turns(plain, run, self.bench, self.case)

    def _float_engine(self, node: Node) -> Artifact:
        made = self._made_by_the_run(f"{node.engine}/{FLOAT}")
        return made if made is not None else self._compile(node)

    def _made_by_the_run(self, name: str) -> Artifact | None:
        """The engine of the recipe's own float branch, None where it has none that was made by now."""
        record = next((item for item in self.ledger.nodes if item.name == name and item.sha256), None)
        found = None if record is None else load_step(self.bench.steps / name)
        return found if found is not None and record is not None and found.sha256 == record.sha256 else None

    def _compile(self, node: Node) -> Artifact:
        samples = self.bench.tensors.stack(self.bench.splits.calibration[:_SAMPLES])
        name = f"{node.engine}/{node.precision}-float"
        timed = Node(name, self.exported.step, f"{node.engine} in float, to be timed", "timed")
        plan = StepPlan(name, {}, (self.exported.sha256,), self.bench.recipe.seed, self.target.tools)

        def body(folder: Path) -> StepOutput:
            return self.target.compile(self.exported.path, folder, samples)

        return self.ledger.make(timed, plan, body).artifact


def time_in_turns(before: Opener, after: Opener, bench: Workbench, case: Case) -> Speed:
    """Both on the image of one case. Raises InferenceError as `infer` does."""
    with closing(before.open_backend()) as first, closing(after.open_backend()) as second:
        return compare_speed(first, second, image_alone(first.inputs, bench.tensors.tensor(case)))
