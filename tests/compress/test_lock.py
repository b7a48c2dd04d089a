"""One process a step: the lock holds against others, ends with its holder, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compress.artifact import StepOutput
from compress.lock import alone_in
from compress.step import StepPlan, run_step
from runtime.errors import StepError

ROOT = Path(__file__).parents[2]
PLAN = StepPlan("train", {})
_HOLD = """
import sys
from pathlib import Path
from compress.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """That works on this step, until it is killed."""
    command = [sys.executable, "-c", _HOLD, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def make(folder: Path) -> StepOutput:
    (folder / "network.pt").write_bytes(b"weights")
    return StepOutput("network.pt", "torch")


def test_a_step_that_another_process_makes_is_refused_and_its_partial_folder_is_left_alone(
    tmp_path: Path,
) -> None:
    step, partial = tmp_path / "steps" / "train", tmp_path / "steps" / "train.partial"
    partial.mkdir(parents=True)
    (partial / "training.pt").write_bytes(b"three epochs")
    with another_process(step), pytest.raises(StepError, match="another process is working on") as caught:
        run_step(PLAN, step, make)
    assert str(step) in str(caught.value) and "wait" in caught.value.hint
    assert (partial / "training.pt").read_bytes() == b"three epochs"


def test_other_steps_of_the_folder_are_free_and_so_is_a_finished_one(tmp_path: Path) -> None:
    run_step(PLAN, tmp_path / "train", make)
    with another_process(tmp_path / "train"):
        assert run_step(PLAN, tmp_path / "train", make).reused
        assert not run_step(PLAN, tmp_path / "export", make).reused


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with another_process(tmp_path / "train") as process:
        process.kill()
        process.wait()
        assert (tmp_path / "train.lock").exists()
        assert not run_step(PLAN, tmp_path / "train", make).reused
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_the_lock_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone_in(tmp_path / "train"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with alone_in(tmp_path / "train"), pytest.raises(StepError), alone_in(tmp_path / "train"):
        pass


def test_a_step_that_another_process_finished_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def after_the_other(folder: Path) -> Iterator[None]:
        monkeypatch.undo()
        run_step(PLAN, folder, make)
        yield

    monkeypatch.setattr("compress.step.alone_in", after_the_other)

    def never(folder: Path) -> StepOutput:
        raise AssertionError

    assert run_step(PLAN, tmp_path / "train", never).reused
