"""Workers that end while they have nothing to do, and ones that cannot begin."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import psutil
import pytest

from runtime.batch.crew import Crew, CrewOptions
from runtime.batch.order import Order, order_of
from runtime.batch.task import Place, Task
from runtime.bundle import open_bundle
from runtime.errors import DigestMismatchError, UlnaError
from runtime.trust import TrustStore
from tests.bundles import radiograph_png
from tests.runtime.batch.kit import ENGINE, wait_until


def order(clinic: Path) -> Order:
    return order_of(open_bundle(clinic / "bundle", TrustStore.from_paths(clinic / "key.pem")), ENGINE)


def task(number: int) -> Task:
    return Task(Place(f"{number}", f"/{number}"), radiograph_png(True, number))


def workers_here() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "runtime.batch.worker" in one.cmdline()]


def test_a_worker_that_ends_while_it_waits_costs_no_picture(clinic: Path) -> None:
    with Crew(order(clinic), CrewOptions(1)) as crew:
        answers = crew.answers([task(1), task(2)])
        first = next(answers)  # the one worker waits for the second
        (worker,) = workers_here()
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: worker.status() == psutil.STATUS_ZOMBIE)
        rest = list(answers)
        replaced = crew.replaced

    assert [answer.place.file for answer in (first, *rest)] == ["1", "2"]
    assert rest[0].findings["verdict"] != "unreadable"
    assert replaced == 1


def test_a_crew_leaves_no_process_behind(clinic: Path) -> None:
    with Crew(order(clinic), CrewOptions(2)) as crew:
        assert len(list(crew.answers([task(1), task(2), task(3)]))) == 3
        workers = workers_here()
        started = [*workers, *(child for one in workers for child in one.children(recursive=True))]
    _, alive = psutil.wait_procs(started, timeout=30)

    assert len(workers) == 2
    assert len(started) > 2  # each has a reading process of its own
    assert not alive


def test_a_bundle_that_is_another_one_stops_the_crew(clinic: Path) -> None:
    changed = dataclasses.replace(order(clinic), digest="0" * 64)
    with Crew(changed, CrewOptions(1)) as crew, pytest.raises(UlnaError, match="has changed") as told:
        list(crew.answers([task(1)]))
    assert not isinstance(told.value, DigestMismatchError)  # told by a worker, in its words
