"""Steps that trials share: made once, whoever asks, and never while somebody else makes them."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from compress.artifact import StepOutput
from compress.ledger import Node
from compress.progress import ProgressReporter
from compress.search.store import SharingLedger
from compress.step import StepPlan
from runtime.errors import StepError

NODE = Node("onnxruntime/int8", "export", "a step", "compile")


def ledger(folder: Path, trial: str) -> SharingLedger:
    return SharingLedger(folder / trial, folder / "steps", ProgressReporter(Console(file=io.StringIO())))


class Maker:
    """A step that counts how often it is made, and how many made it at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.made, self.at_once, self.most = 0, 0, 0
        self._seconds = seconds

    def __call__(self, folder: Path) -> StepOutput:
        self.made, self.at_once = self.made + 1, self.at_once + 1
        self.most = max(self.most, self.at_once)
        time.sleep(self._seconds)
        (folder / "model.onnx").write_bytes(b"graph")
        (folder / "model.bin").write_bytes(b"weights")
        self.at_once -= 1
        return StepOutput("model.onnx", "onnx", ("model.bin",), {"nodes": 3})


def test_a_second_trial_takes_what_the_first_has_made(tmp_path: Path) -> None:
    maker, plan = Maker(), StepPlan("a", {"epochs": 3})
    first = ledger(tmp_path, "0").make(NODE, plan, maker).artifact
    second = ledger(tmp_path, "1").make(NODE, plan, maker).artifact
    assert maker.made == 1
    assert (first.sha256, first.facts, first.companions) == (second.sha256, second.facts, second.companions)
    assert second.path == tmp_path / "1" / "onnxruntime/int8" / "model.onnx"
    first.path.write_bytes(b"spoilt")
    assert second.path.read_bytes() == b"graph", "every trial has a copy of its own"


def test_another_key_is_another_step(tmp_path: Path) -> None:
    maker = Maker()
    for epochs in (3, 4):
        ledger(tmp_path, str(epochs)).make(NODE, StepPlan("a", {"epochs": epochs}), maker)
    assert maker.made == 2


def test_two_that_want_the_same_step_at_once_make_it_once(tmp_path: Path) -> None:
    maker, plan = Maker(seconds=0.3), StepPlan("a", {})
    threads = [
        threading.Thread(target=lambda trial=str(number): ledger(tmp_path, trial).make(NODE, plan, maker))
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (maker.made, maker.most) == (1, 1)
    assert all((tmp_path / str(number) / "onnxruntime/int8" / "step.json").is_file() for number in range(3))


def test_an_interrupted_step_is_gone_on_with_by_the_next_trial(tmp_path: Path) -> None:
    plan = StepPlan("a", {})

    def fails(folder: Path) -> StepOutput:
        (folder / "training.pt").write_bytes(b"epoch 1")
        raise StepError("stopped")

    def goes_on(folder: Path) -> StepOutput:
        assert (folder / "training.pt").read_bytes() == b"epoch 1"
        (folder / "model.onnx").write_bytes(b"graph")
        return StepOutput("model.onnx", "onnx")

    with pytest.raises(StepError, match="stopped"):
        ledger(tmp_path, "0").make(NODE, plan, fails)
    assert ledger(tmp_path, "1").make(NODE, plan, goes_on).artifact.path.is_file()
