"""A step runs once, resumes in its partial folder and appears only when whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.artifact import StepOutput
from compress.step import StepPlan, load_step, run_step
from runtime.errors import StepError

PLAN = StepPlan("double", {"factor": 2}, parents=("aa",), seed=3, tools=("numpy",))


class _Body:
    """Writes one file and counts how often it was asked to."""

    def __init__(self, content: bytes = b"weights") -> None:
        self.calls = 0
        self.content = content

    def __call__(self, folder: Path) -> StepOutput:
        self.calls += 1
        (folder / "out.bin").write_bytes(self.content)
        return StepOutput("out.bin", "torch", facts={"macs": 5})


def test_a_noted_version_is_recorded_and_a_step_from_a_machine_with_another_one_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, plan = _Body(), StepPlan("double", {}, noted=("numpy",))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0+other")
    run_step(plan, tmp_path / "s", body)
    monkeypatch.undo()
    assert run_step(plan, tmp_path / "s", body).reused and body.calls == 1
    record = json.loads((tmp_path / "s" / "step.json").read_text())
    assert record["versions"]["numpy"] == "1.0+other"


def test_other_code_makes_a_step_anew_but_not_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, training = _Body(), StepPlan("train", {}, noted=("torch",))
    for plan in (PLAN, training):
        run_step(plan, tmp_path / plan.name, body)
    monkeypatch.setattr("compress.step.own_code", lambda: "of tomorrow")
    assert not run_step(PLAN, tmp_path / PLAN.name, body).reused
    assert run_step(training, tmp_path / training.name, body).reused


def test_a_finished_step_holds_everything_the_record_promises(tmp_path: Path) -> None:
    artifact = run_step(PLAN, tmp_path / "double", _Body()).artifact
    record = json.loads((tmp_path / "double" / "step.json").read_text())
    assert record["artifact"]["params"] == {"factor": 2}
    assert record["parents"] == ["aa"] and record["seed"] == 3
    assert record["versions"]["numpy"] and record["versions"]["python"]
    assert artifact.parent == "aa" and artifact.facts == {"macs": 5}
    assert artifact.peak_memory_bytes > 0 and artifact.size_bytes == 7


def test_an_unchanged_step_is_not_run_again(tmp_path: Path) -> None:
    body = _Body()
    first = run_step(PLAN, tmp_path / "s", body)
    again = run_step(PLAN, tmp_path / "s", body)
    assert body.calls == 1 and again.reused and not first.reused
    assert again.artifact == first.artifact


@pytest.mark.parametrize(
    "changed",
    [
        StepPlan("double", {"factor": 3}, ("aa",), 3, ("numpy",)),
        StepPlan("double", {"factor": 2}, ("bb",), 3, ("numpy",)),
        StepPlan("double", {"factor": 2}, ("aa",), 4, ("numpy",)),
    ],
    ids=["parameter", "parent", "seed"],
)
def test_a_changed_input_runs_the_step_again(tmp_path: Path, changed: StepPlan) -> None:
    body = _Body()
    run_step(PLAN, tmp_path / "s", body)
    assert not run_step(changed, tmp_path / "s", body).reused
    assert body.calls == 2


@pytest.mark.parametrize(
    "harm", [lambda p: p.write_bytes(b"weightS"), lambda p: p.unlink()], ids=["altered", "gone"]
)
def test_a_step_whose_file_was_harmed_is_made_anew(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    body = _Body()
    run_step(PLAN, tmp_path / "s", body)
    harm(tmp_path / "s" / "out.bin")
    result = run_step(PLAN, tmp_path / "s", body)
    assert not result.reused and result.artifact.path.read_bytes() == b"weights"


@pytest.mark.parametrize("content", [b"", b'{"key"', b"[]", b'{"key": "x"}', b"\xff\xfe", b'{"artifact": 3}'])
def test_a_step_whose_record_was_harmed_is_made_anew(tmp_path: Path, content: bytes) -> None:
    body = _Body()
    run_step(PLAN, tmp_path / "s", body)
    (tmp_path / "s" / "step.json").write_bytes(content)
    assert load_step(tmp_path / "s") is None
    assert not run_step(PLAN, tmp_path / "s", body).reused
    assert run_step(PLAN, tmp_path / "s", body).reused and body.calls == 2


def test_an_interrupted_step_gets_its_partial_folder_back(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> StepOutput:
        (folder / "checkpoint").write_text("epoch 3")
        raise KeyboardInterrupt

    def resumed(folder: Path) -> StepOutput:
        assert (folder / "checkpoint").read_text() == "epoch 3"
        return _Body()(folder)

    with pytest.raises(KeyboardInterrupt):
        run_step(PLAN, tmp_path / "s", interrupted)
    assert load_step(tmp_path / "s") is None
    assert run_step(PLAN, tmp_path / "s", resumed).artifact.main == "out.bin"


def test_a_partial_folder_of_other_parameters_is_not_taken_up(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> StepOutput:
        (folder / "checkpoint").write_text("of another recipe")
        raise KeyboardInterrupt

    def fresh(folder: Path) -> StepOutput:
        assert not (folder / "checkpoint").exists()
        return _Body()(folder)

    with pytest.raises(KeyboardInterrupt):
        run_step(PLAN, tmp_path / "s", interrupted)
    run_step(StepPlan("double", {"factor": 9}), tmp_path / "s", fresh)


def test_a_step_that_names_a_file_it_did_not_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"did not write missing\.onnx"):
        run_step(PLAN, tmp_path / "s", lambda folder: StepOutput("missing.onnx", "onnx"))
    assert load_step(tmp_path / "s") is None
