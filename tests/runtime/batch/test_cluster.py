"""The same work on a real Dask cluster of two worker processes."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster

from runtime.batch.cluster import ClusterOptions, open_cluster
from runtime.batch.order import order_of
from runtime.batch.task import Place, Task
from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.metadata import PatientFacts
from runtime.trust import TrustStore
from tests.bundles import radiograph_png
from tests.runtime.batch.kit import ENGINE, answers, fill, hanging_png, run, summary, wait_until, zip_of


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            memory_limit=0,
        ) as made,
    ):
        yield made


def test_a_cluster_gives_the_answers_that_this_machine_gives(
    clinic: Path, tmp_path: Path, cluster: Any
) -> None:
    source = fill(tmp_path / "in", 8)
    (source / "bad.png").write_bytes(b"nonsense")
    zip_of(source / "a.zip", {"x.png": (source / "000.png").read_bytes()})
    here = run(clinic, source, "--out", tmp_path / "here")
    there = run(clinic, source, "--out", tmp_path / "there", "--scheduler", cluster.scheduler_address)

    assert (here.exit_code, there.exit_code) == (1, 1)
    assert _verdicts(tmp_path / "here") == _verdicts(tmp_path / "there")
    assert len(answers(tmp_path / "there")) == 10
    assert summary(tmp_path / "there")["scheduler"] is True


def test_workers_need_not_see_the_files_and_pictures_come_back(
    clinic: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "in", 3)
    monkeypatch.chdir(tmp_path)  # the paths are relative to a folder that the workers are not in
    result = run(clinic, "in", "--out", "out", "--overlay", "drawn", "--scheduler", cluster.scheduler_address)

    assert result.exit_code == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 3
    again = run(clinic, "in", "--out", "out", "--overlay", "drawn", "--scheduler", cluster.scheduler_address)
    assert again.exit_code == 0
    assert (summary(tmp_path / "out")["read_before"], summary(tmp_path / "out")["read_now"]) == (3, 0)


def test_a_picture_that_hangs_the_engine_costs_no_worker_of_the_cluster(
    clinic: Path, tmp_path: Path, cluster: Any
) -> None:
    source, out = fill(tmp_path / "in", 4), tmp_path / "out"
    (source / "000a.png").write_bytes(hanging_png())
    run(clinic, source, "--out", out, "--scheduler", cluster.scheduler_address, "--limit", 4)

    assert len(answers(out)) == 5
    (lost,) = (one for one in answers(out) if one["verdict"] == "unreadable")
    assert "gave no answer within 4 s" in lost["refusal"]["message"]


def test_a_worker_of_the_cluster_that_dies_costs_no_answer(
    clinic: Path, tmp_path: Path, cluster: Any
) -> None:
    source, out = fill(tmp_path / "in", 40), tmp_path / "out"
    killed: list[int] = []

    def kill_one() -> None:
        wait_until(lambda: (out / "findings.jsonl").exists() and len(answers(out)) >= 3)
        with Client(cluster.scheduler_address) as client:
            pids = client.run(os.getpid)
        killed.append(next(iter(pids.values())))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    result = run(clinic, source, "--out", out, "--scheduler", cluster.scheduler_address)
    killer.join()

    assert killed
    assert result.exit_code == 0
    assert len(answers(out)) == len({one["file"] for one in answers(out)}) == 40


def test_a_bundle_that_the_workers_find_changed_is_not_used(
    clinic: Path, tmp_path: Path, cluster: Any
) -> None:
    shutil.copytree(clinic / "bundle", tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle", TrustStore.from_paths(clinic / "key.pem"))
    order = order_of(bundle, "onnxruntime-fp32")
    (tmp_path / "bundle" / "models" / "model.onnx").write_bytes(b"changed")
    task = Task(Place("a", "a"), data=b"x")
    with (
        open_cluster(ClusterOptions(cluster.scheduler_address), order) as workers,
        pytest.raises(UlnaError, match=r"model\.onnx"),
    ):
        list(workers.answers([task]))


def readers_of(client: Client) -> list[psutil.Process]:
    """The processes that the cluster's workers read pictures in."""
    workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
    below = [child for worker in workers for child in worker.children(recursive=True)]
    return [child for child in below if child.is_running() and "runtime.batch.worker" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def tasks(number: int) -> list[Task]:
    return [Task(Place(f"{n}", f"/{n}"), radiograph_png(True, n)) for n in range(number)]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_batch_that_is_broken_off_leaves_no_process_on_the_workers(
    clinic: Path, cluster: Any, batches: int
) -> None:
    wanted = order_of(open_bundle(clinic / "bundle", TrustStore.from_paths(clinic / "key.pem")), ENGINE)
    options = ClusterOptions(cluster.scheduler_address)
    with Client(cluster.scheduler_address) as client:
        for _ in range(batches):
            with pytest.raises(KeyboardInterrupt), open_cluster(options, wanted) as workers:
                next(workers.answers(tasks(8)))
                assert readers_of(client)
                raise KeyboardInterrupt
        wait_until(lambda: not readers_of(client))


def test_a_thread_that_gets_another_order_ends_what_it_held(clinic: Path) -> None:
    first = order_of(open_bundle(clinic / "bundle", TrustStore.from_paths(clinic / "key.pem")), ENGINE)
    second = dataclasses.replace(first, facts=PatientFacts(age="40"))
    (task,) = tasks(1)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as one,
        open_cluster(ClusterOptions(one.scheduler_address), first) as workers,
        open_cluster(ClusterOptions(one.scheduler_address), second) as others,
    ):
        for batch in (workers, others, workers, others):
            (answer,) = batch.answers([task])
            assert answer.findings["refusal"] is None
        assert len(_held_here()) == 1


def test_a_run_that_ends_leaves_another_with_the_same_order_its_process(clinic: Path) -> None:
    order = order_of(open_bundle(clinic / "bundle", TrustStore.from_paths(clinic / "key.pem")), ENGINE)
    (task,) = tasks(1)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as one,
        open_cluster(ClusterOptions(one.scheduler_address), order) as staying,
    ):
        list(staying.answers([task]))
        with open_cluster(ClusterOptions(one.scheduler_address), order) as leaving:
            list(leaving.answers([task]))
            before = _held_here()
        assert _held_here() == before
        assert len(before) == 1
    assert not _held_here()


def _held_here() -> set[int]:
    return {child.pid for child in psutil.Process().children() if "runtime.batch.worker" in _command(child)}


def test_a_scheduler_that_is_not_there_is_named(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.batch.cluster._CONNECT_S", 1)
    result = run(
        clinic, fill(tmp_path / "in", 1), "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9"
    )

    assert isinstance(result.exception, UlnaError)
    assert "tcp://127.0.0.1:9" in str(result.exception)
    assert "dask scheduler" in result.exception.hint


def _verdicts(out: Path) -> dict[tuple[str, str], tuple[str, float]]:
    return {(one["file"], one["member"]): (one["verdict"], one["probability"]) for one in answers(out)}
