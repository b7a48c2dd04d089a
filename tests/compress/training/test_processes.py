"""Several processes train as one does with the same global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compress.training.processes import ALONE, Processes, joined_processes
from runtime.errors import StepError

from .two_processes import trained_everything

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes under torchrun ended with, by rank."""
    folder = tmp_path_factory.mktemp("two")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    module = ["-m", "tests.compress.training.two_processes", str(folder)]
    done = subprocess.run(
        [*launch, *module],
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    return trained_everything(tmp_path_factory.mktemp("one"), ALONE)


def assert_near(one: dict[str, Tensor], two: dict[str, Tensor], tolerance: float) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=tolerance, rtol=tolerance), name


@pytest.mark.slow
@pytest.mark.parametrize("network", ["smooth", "frozen"])
def test_two_processes_end_with_the_weights_of_one(
    both: list[dict[str, Any]], alone: dict[str, dict[str, Tensor]], network: str
) -> None:
    assert_near(both[0]["first"][network], alone[network], 1e-4)


@pytest.mark.slow
def test_normalisation_that_learns_differs_by_its_share_of_the_batch_and_comes_near(
    both: list[dict[str, Any]], alone: dict[str, dict[str, Tensor]]
) -> None:
    two, one = both[0]["first"]["normalised"], alone["normalised"]
    assert torch.allclose(two["losses"], one["losses"], rtol=0.2)
    assert not torch.equal(two["losses"], one["losses"])


@pytest.mark.slow
def test_both_processes_hold_the_same_bits_also_after_taking_up_a_state(both: list[dict[str, Any]]) -> None:
    reference = both[0]["first"]
    for rank in (0, 1):
        for time in ("first", "again"):
            for name, state in both[rank][time].items():
                assert_near(state, reference[name], 0.0)


def test_without_a_launcher_a_process_is_alone() -> None:
    with joined_processes() as processes:
        assert processes == ALONE
        assert processes.is_first
    value = torch.ones(3)
    assert ALONE.whole(value) is value
    assert ALONE.agree("word") == "word"
    assert ALONE.share(7) == slice(0, 7)


def test_shares_are_equal_and_cover_the_batch_and_a_remainder_is_refused() -> None:
    shares = [Processes(rank, 4).share(12) for rank in range(4)]
    assert [list(range(12))[share] for share in shares] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    with pytest.raises(StepError, match="10 images") as caught:
        Processes(0, 4).share(10)
    assert "batch_size" in caught.value.hint
