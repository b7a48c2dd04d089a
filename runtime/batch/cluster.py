"""The same work on the workers of a Dask scheduler: bytes are sent to them, answers come back as they are.

A worker needs Ulna and the bundle under the same path, not the pictures. It reads each of them in a process
of its own (runtime.batch.crew), so that a picture that crashes or hangs an engine costs no worker. Where a
worker dies all the same, Dask gives its pictures to others, as often as its scheduler's setting
`distributed.scheduler.allowed-failures` says; then they are listed as failures.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.batch.crew import Crew, CrewOptions
from runtime.batch.order import Order, lost
from runtime.batch.pictures import keep
from runtime.batch.task import Answer, Task
from runtime.errors import BackendError, InputError, UlnaError
from runtime.readers import load

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_S = 20
_TASKS_A_THREAD = 2
_MOST_BYTES = 512 << 20
_AGAIN = "run the same command again to go on"


@dataclass(frozen=True)
class _Run:
    """What a worker is told. name: of this run alone; those that differ in nothing else share its process."""

    order: Order
    limit_s: float
    name: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)


@dataclass(frozen=True)
class ClusterOptions:
    """scheduler: its address. limit_s: that one picture may take."""

    scheduler: str
    limit_s: float = 120.0


class Cluster:
    """Workers of a scheduler; use as a context manager."""

    def __init__(self, client: Client, order: Order, limit_s: float) -> None:
        self._client = client
        self._pictures_to = order.pictures_to
        self._run = _Run(replace(order, pictures_to="", threads=1), limit_s)
        self._on_way: dict[Future, Task] = {}
        self.threads = sum(client.nthreads().values())

    def answers(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """One for every task, as they come; a bounded number of pictures is on its way at a time.

        Raises UlnaError where workers cannot do their work at all, or the scheduler is lost.
        """
        from distributed import as_completed

        queue, on_way = as_completed(), self._on_way
        most = _TASKS_A_THREAD * max(1, self.threads)
        for task in tasks:
            loaded = _loaded(task)
            while len(on_way) >= most or (on_way and _bytes_of(on_way, loaded) > _MOST_BYTES):
                yield self._take(next(queue), on_way)
            future = self._submit(loaded)
            on_way[future] = loaded
            queue.add(future)
        while on_way:
            yield self._take(next(queue), on_way)

    def release(self) -> None:
        """Have the workers leave what they are at, and end what they started."""
        self._client.cancel(list(self._on_way))
        self._client.run(_release, self._run)

    def _submit(self, task: Task) -> Future:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a picture is larger than Dask likes; it may be
            return self._client.submit(_examine, self._run, task, pure=False)

    def _take(self, future: Future, on_way: dict[Future, Task]) -> Answer:
        from distributed import KilledWorker

        task = on_way.pop(future)
        if future.status == "cancelled":
            raise UlnaError("the Dask scheduler was lost", f"start it again, then {_AGAIN}")
        if future.status != "error":
            return self._received(future.result())
        error = future.exception()
        if isinstance(error, KilledWorker):
            return self._received(lost(self._run.order, task.place, "its worker died, as those after it did"))
        if isinstance(error, UlnaError):
            raise error
        raise BackendError(
            f"a Dask worker could not be used: {error!r}", "is the same Ulna installed on it, and the bundle?"
        )

    def _received(self, answer: Answer) -> Answer:
        if self._pictures_to:
            keep(self._pictures_to, answer.place, answer.picture)
        return answer


def connect(scheduler: str) -> Client:
    """A client of a scheduler that has a worker. Raises UlnaError for any other."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UlnaError("distributed is not installed", 'run pip install "ulna[batch]"') from error

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=_CONNECT_S)
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UlnaError(
            f"no Dask scheduler with workers at {scheduler}: {error or type(error).__name__}",
            "start `dask scheduler` and `dask worker`, or leave --scheduler out",
        ) from error
    return client


@contextmanager
def open_cluster(options: ClusterOptions, order: Order) -> Iterator[Cluster]:
    """Raises UlnaError for a scheduler that does not answer or has no worker."""
    client = connect(options.scheduler)
    with client:
        cluster = Cluster(client, order, options.limit_s)
        try:
            yield cluster
        finally:
            with contextlib.suppress(Exception):  # a worker that is gone holds nothing
                cluster.release()


def _loaded(task: Task) -> Task:
    """With its bytes: a worker need not see the file."""
    if task.data is not None or task.error is not None:
        return task
    try:
        return replace(task, data=load(Path(task.place.path)))
    except InputError as error:
        return replace(task, error=error)


def _bytes_of(on_way: dict[Future, Task], task: Task) -> int:
    return sum(len(one.data or b"") for one in (*on_way.values(), task))


_here = threading.local()
_held: list[_Held] = []
"""On a worker: the process of each of its threads."""
_holding = threading.Lock()


@dataclass(frozen=True, eq=False)
class _Held:
    run: _Run
    crew: Crew
    users: set[str]


def _examine(run: _Run, task: Task) -> Answer:
    """On a worker. Each of its threads keeps a process for as long as it is asked for the same."""
    (answer,) = _crew_here(run).answers([task])
    return answer


def _crew_here(run: _Run) -> Crew:
    """This thread's; one for something else, or one that was released, makes way."""
    held: _Held | None = getattr(_here, "held", None)
    with _holding:
        is_held = held is not None and held in _held
        if held is not None and is_held and held.run == run:
            held.users.add(run.name)
            return held.crew
        if held is not None and is_held:
            _held.remove(held)
    if held is not None and is_held:
        held.crew.end()
    _here.held = fresh = _Held(run, Crew(run.order, CrewOptions(1, run.limit_s)), {run.name})
    with _holding:
        _held.append(fresh)
    return fresh.crew


def _release(run: _Run) -> None:
    """On a worker, in none of the threads that examine: end the processes that nobody but this run uses."""
    with _holding:
        for held in _held:
            held.users.discard(run.name)
        unused = [held for held in _held if not held.users]
        _held[:] = [held for held in _held if held.users]
    for held in unused:
        held.crew.end()
