"""Workers that end while they have nothing to do, and ones that cannot begin."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import time
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
        has_ended = os.WEXITED | os.WNOHANG | os.WNOWAIT  # all of its threads; a zombie may have some yet
        wait_until(lambda: os.waitid(os.P_PID, worker.pid, has_ended))
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


IN_EVERY_WORKER = """
import os, signal, sys
from multiprocessing.connection import Connection
if "runtime.batch.worker" in sys.orig_argv:
{}
"""

DIES_OF_LARGE_WORDS = """
    read = Connection._recv
    def _recv(self, size, *rest):
        if size > 10_000_000:
            read(self, 1000)
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, size, *rest)
    Connection._recv = _recv
"""

ONLY_SO_MANY_BEGIN = """
    for number in range({}):
        try:
            os.close(os.open(os.path.join({!r}, str(number)), os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            continue
    else:
        os._exit(3)
"""


def change_workers(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have Python run that in every worker before its own code."""
    (folder / "sitecustomize.py").write_text(IN_EVERY_WORKER.format(code), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


def test_a_picture_that_ends_workers_while_it_is_handed_over_is_lost_and_the_next_one_read(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_workers(tmp_path, monkeypatch, DIES_OF_LARGE_WORDS)
    large = Task(Place("large", "/large"), bytes(20_000_000))
    with Crew(order(clinic), CrewOptions(1)) as crew:
        answers = list(crew.answers([task(1), large, task(2)]))
        replaced = crew.replaced

    assert [answer.place.file for answer in answers] == ["1", "large", "2"]
    assert [answer.findings["verdict"] == "unreadable" for answer in answers] == [False, True, False]
    assert "while they were given the image" in answers[1].findings["refusal"]["message"]
    assert replaced == 2


def test_one_that_cannot_begin_beside_others_leaves_the_work_to_them(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_workers(tmp_path, monkeypatch, ONLY_SO_MANY_BEGIN.format(1, str(tmp_path)))
    with Crew(order(clinic), CrewOptions(3)) as crew:
        answers = list(crew.answers([task(number) for number in range(60)]))

    assert {answer.place.file for answer in answers} == {str(number) for number in range(60)}
    assert all(answer.findings["refusal"] is None for answer in answers)
    assert crew.size < 3


def test_where_none_begins_there_is_no_answer(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_workers(tmp_path, monkeypatch, ONLY_SO_MANY_BEGIN.format(0, str(tmp_path)))
    with Crew(order(clinic), CrewOptions(2)) as crew, pytest.raises(UlnaError, match="exit code 3"):
        list(crew.answers([task(1)]))


def test_a_few_pictures_need_no_worker_for_each_core(clinic: Path) -> None:
    with Crew(order(clinic), CrewOptions(8)) as crew:
        assert len(list(crew.answers([task(1)]))) == 1
        assert len(workers_here()) == 1


@pytest.mark.slow
def test_an_answer_that_came_while_its_asker_was_busy_counts(clinic: Path) -> None:
    with Crew(order(clinic), CrewOptions(2, limit_s=2)) as crew:
        slept, answers = 0, []
        for answer in crew.answers(map(task, itertools.count())):
            answers.append(answer)
            if len(workers_here()) == 2 and len(answers) > 50:
                time.sleep(2.5)  # as long as a disk may take
                slept += 1
            if slept == 4:
                break

    assert all(answer.findings["refusal"] is None for answer in answers)
