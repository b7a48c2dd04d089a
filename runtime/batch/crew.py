"""Worker processes that are watched: one that crashes or hangs costs the picture it was at and is replaced.

Not concurrent.futures: its pool breaks as a whole when one of its processes ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.batch.order import Order, Ready, Stop, lost
from runtime.batch.task import Answer, Place, Task
from runtime.errors import BackendError, UlnaError

_START_S = 180.0
_END_S = 5.0
_TRIES = 2


@dataclass(frozen=True)
class CrewOptions:
    """limit_s: that one picture may take."""

    processes: int = 1
    limit_s: float = 120.0


class Crew:
    """Use as a context manager: leaving it ends all workers, whatever they are at."""

    def __init__(self, order: Order, options: CrewOptions) -> None:
        self._order = order
        self._options = options
        self._workers: list[_Worker] = []
        self._most = options.processes
        self._began = False
        self.replaced = 0
        """Workers that crashed or hung."""

    def answers(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """One for every task, as they come. One task at a time is fetched ahead of the workers.

        Raises UlnaError where workers cannot do their work at all.
        """
        for task in tasks:
            yield from self._hand_over(task)
        while any(worker.at is not None for worker in self._workers):
            yield from self._listen()

    @property
    def size(self) -> int:
        """Workers at a time: as many as were asked for, fewer where no more could be started."""
        return self._most

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """All workers, whatever they are at; others are started when there is work again."""
        while self._workers:
            self._workers.pop().end()

    def _hand_over(self, task: Task) -> Iterator[Answer]:
        """What is heard until a worker took it; a picture that ends one while it comes in, twice, is lost."""
        for _ in range(_TRIES):
            while (free := self._free()) is None:
                yield from self._listen()
            if free.give(task, self._options.limit_s):
                return
            self._replace(free)
        yield lost(self._order, task.place, "workers ended while they were given the image")

    def _free(self) -> _Worker | None:
        """Where there is none, one is started: a few pictures need no worker for each core."""
        for worker in [worker for worker in self._workers if worker.is_free and worker.has_ended]:
            self._replace(worker)
        free = next((worker for worker in self._workers if worker.is_free), None)
        if free is None and len(self._workers) < self._most:
            self._workers.append(_Worker(self._order))
        return free

    def _replace(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.end()
        self.replaced += 1

    def _listen(self) -> Iterator[Answer]:
        """What workers say, at the first word of any of them or when one has used up its time."""
        busy = [worker for worker in self._workers if not worker.is_free]
        left_s = min(worker.deadline_s for worker in busy) - time.monotonic()
        heard = wait([worker.channel for worker in busy], max(0.0, left_s))
        for worker in busy:
            if worker.channel in heard:
                yield from self._hear(worker)
            elif worker.deadline_s <= time.monotonic() and not worker.channel.poll():
                # An answer that came while its asker was busy with another is heard the next time.
                yield from self._bury(worker, worker.end_words(hung=True))

    def _hear(self, worker: _Worker) -> Iterator[Answer]:
        said = worker.hear()
        if isinstance(said, Answer):
            yield said
        elif isinstance(said, Ready):
            self._began = True
        elif not isinstance(said, Stop):
            yield from self._bury(worker, worker.end_words(hung=False))
        elif worker.at is None:
            worker.end()
            self._do_without(worker, UlnaError(said.message, said.hint))
        else:
            raise UlnaError(said.message, said.hint)

    def _bury(self, worker: _Worker, ending: str) -> Iterator[Answer]:
        """The answer for the picture it was at, if it was at one."""
        if worker.at is None:
            reason = BackendError(
                f"a worker of the batch {ending} while it opened the engine {self._order.engine}",
                "look at `ulna doctor`, or choose another with --engine",
            )
            self._do_without(worker, reason)
        else:
            self._workers.remove(worker)
            self.replaced += 1
            yield lost(self._order, worker.at, ending)

    def _do_without(self, worker: _Worker, reason: UlnaError) -> None:
        """One that cannot begin, for want of memory perhaps. Raises `reason` where no other is at work."""
        self._workers.remove(worker)
        if not self._began or not self._workers:
            raise reason
        self._most -= 1


class _Worker:
    """A process, and the picture it is at."""

    def __init__(self, order: Order) -> None:
        self.channel, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                # -P, and our own module path instead: the current folder may be a stranger's USB stick.
                [sys.executable, "-P", "-m", "runtime.batch.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is its parent's business
                env=_environment(order.threads),
            )
        self.at: Place | None = None
        self.is_free = False
        self.deadline_s = time.monotonic() + _START_S
        self.limit_s = _START_S
        with contextlib.suppress(OSError):  # it has ended already: heard as its end
            self.channel.send(order)

    @property
    def has_ended(self) -> bool:
        """Whatever it was at."""
        return self._process.poll() is not None

    def give(self, task: Task, limit_s: float) -> bool:
        """Have it read. False where it has ended before."""
        self.at, self.is_free, self.limit_s = task.place, False, limit_s
        self.deadline_s = time.monotonic() + limit_s
        try:
            self.channel.send(task)
        except OSError:
            return False
        return True

    def hear(self) -> Any:
        """Ready, an Answer, Stop, or None where it ends instead."""
        try:
            said = self.channel.recv()
        except Exception:  # the end of the pipe, or words of one that has lost its mind
            return None
        if isinstance(said, Ready | Answer):
            self.at, self.is_free = None, True
        return said

    def end_words(self, hung: bool) -> str:
        """End it, and say how it ended."""
        if not hung:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        status = self._process.poll()
        self.end()
        if hung:
            return f"gave no answer within {self.limit_s:g} s"
        if status is None:
            return "gave an answer that cannot be read"
        if status >= 0:
            return f"ended with exit code {status}"
        return f"crashed with {_signal_name(-status)}"

    def end(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.channel.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment(threads: int) -> dict[str, str]:
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    limits = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)} if threads else {}
    return {**os.environ, "PYTHONPATH": path, **limits}
