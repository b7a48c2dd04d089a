"""A converted engine is timed beside the float engine of the same target, and stops where it is no faster."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from compress.against_float import AgainstFloat
from compress.artifact import Artifact, StepOutput
from compress.datasets.base import Case, Dataset
from compress.datasets.splits import Splits
from compress.datasets.tensors import TensorCache
from compress.faster import Speed
from compress.ledger import Ledger, Node
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.record import NodeRecord
from compress.step import StepPlan
from compress.targets import TARGETS, Opener
from compress.workbench import Workbench
from runtime.backends.base import Backend
from runtime.errors import StepError
from tests.compress.steps import graphs

FAST, SLOW = Speed(1.0, 0.5, 0.5, 0.4, 0.6, True), Speed(1.0, 1.1, 1.1, 1.0, 1.2, False)
TARGET = TARGETS["onnxruntime"]
INT8 = Node("onnxruntime/int8", "export", "ONNX Runtime int8", "compile", "onnxruntime", "int8")
FP32 = Node("onnxruntime/fp32", "export", "ONNX Runtime fp32", "compile", "onnxruntime", "fp32")
CASES = tuple(Case(f"case-{n}", f"patient-{n}", Path(), n % 2, "hand") for n in range(4))


class Images:
    """What a TensorCache is here."""

    def tensor(self, case: Case) -> NDArray[np.float32]:
        return self.stack((case,))

    def stack(self, cases: tuple[Case, ...]) -> NDArray[np.float32]:
        return graphs.images(len(cases))


@dataclass
class Place:
    """A run's folder with a float graph and an engine that was made of it, here the graph's own."""

    folder: Path
    said: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        reporter = ProgressReporter(Console(file=self.said, width=200))
        splits = Splits(CASES, CASES, CASES, ())
        images, nothing = cast(TensorCache, Images()), cast(Dataset, None)
        self.bench = Workbench(Recipe("easy"), self.folder, nothing, splits, images, reporter)
        self.ledger = Ledger(self.bench.steps, reporter)
        (self.folder / "model.onnx").write_bytes(graphs.residual_bytes())
        self.exported = Artifact("export", self.folder, "model.onnx", "onnx", "1" * 64)
        self.engine = self.compile(INT8)

    def compile(self, node: Node) -> Artifact:
        plan = StepPlan(node.name, {}, (self.exported.sha256,))

        def body(folder: Path) -> StepOutput:
            return TARGET.compile(self.exported.path, folder, self.bench.tensors.stack(CASES))

        return self.ledger.make(node, plan, body).artifact

    def beside(self, must_be_faster: bool = True) -> AgainstFloat:
        return AgainstFloat(self.bench, self.ledger, TARGET, self.exported, CASES[0], must_be_faster)

    def judge(self, must_be_faster: bool = True) -> bool:
        return self.beside(must_be_faster).may_go_on(INT8, TARGET.open(self.engine))

    @property
    def nodes(self) -> dict[str, NodeRecord]:
        return {node.name: node for node in self.ledger.nodes}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def timed(monkeypatch: pytest.MonkeyPatch, speed: Speed) -> list[tuple[Backend, ...]]:
    """What is compared, and nothing measured."""
    seen: list[tuple[Backend, ...]] = []

    def compare(before: Backend, after: Backend, feeds: object) -> Speed:
        seen.append((before, after))
        return speed

    monkeypatch.setattr("compress.against_float.compare_speed", compare)
    return seen


def test_what_is_not_faster_stops_and_says_by_how_much(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, SLOW)
    assert not place.judge()
    node = place.nodes[INT8.name]
    assert node.status == "not faster" and place.ledger.gate_stopped == (INT8.name,)
    assert node.facts["speed_against_float"]["stops"]
    assert "1.10 [1.00, 1.20] of the time: not shown to be faster" in place.said.getvalue()


def test_what_need_not_be_faster_goes_on_and_its_times_are_recorded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, SLOW)
    assert place.judge(must_be_faster=False)
    node = place.nodes[INT8.name]
    assert node.status == "ok"
    speed = node.facts["speed_against_float"]
    assert (speed["float_ms"], speed["converted_ms"], speed["stops"]) == (1.0, 1.1, False)


def test_what_is_faster_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, FAST)
    assert place.judge()
    assert place.nodes[INT8.name].facts["speed_against_float"]["faster"]


def test_the_float_engine_is_compiled_to_be_timed_where_the_run_has_none(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, FAST)
    place.judge()
    assert place.nodes["onnxruntime/int8-float"].kind == "timed"


def test_the_runs_own_float_engine_is_taken_where_it_has_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, FAST)
    place.compile(FP32)
    place.judge()
    assert set(place.nodes) == {INT8.name, FP32.name}


def test_a_float_engine_that_a_former_run_left_is_not_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, FAST)
    place.compile(FP32)
    record = place.bench.steps / FP32.name / "step.json"
    record.write_text(record.read_text().replace(place.nodes[FP32.name].sha256, "2" * 64))
    place.judge()
    assert "onnxruntime/int8-float" in place.nodes


def test_what_this_machine_cannot_run_is_said_to_be_not_measured_and_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = timed(monkeypatch, SLOW)
    stand_in = Opener(TARGET.open(place.engine).open_backend, "the graph on the CPU")
    assert place.beside().may_go_on(INT8, stand_in)
    assert seen == [] and set(place.nodes) == {INT8.name}
    assert "not_measured" in place.nodes[INT8.name].facts["speed_against_float"]


def test_an_engine_that_cannot_be_opened_is_a_failure_and_no_pass(place: Place) -> None:
    def broken() -> Backend:
        raise OSError("no such device")

    with pytest.raises(StepError, match="no such device"):
        place.beside().may_go_on(INT8, Opener(broken))
    assert place.nodes[INT8.name].status == "failed"


def test_the_engines_really_run_one_after_the_other(place: Place) -> None:
    speed = place.beside().time(INT8, TARGET.open(place.engine))
    assert speed is not None
    assert min(speed.before_ms, speed.after_ms) > 0 and speed.low <= speed.ratio <= speed.high
