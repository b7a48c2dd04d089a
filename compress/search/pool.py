"""The workers: a cluster of this machine's, or whatever a Dask scheduler has.

A trial whose worker dies is begun again, at most as often as the search file says (compress.search.attempts
counts, Dask's own count blames trials that only waited on the same worker). All workers see the folder of the
search under the same path, on a disk that knows file locks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from compress.search.attempts import Attempt, measure_attempt, run_attempt
from compress.search.outcome import FAILED, MADE, Outcome
from runtime.batch.cluster import connect
from runtime.errors import StepError, UlnaError

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
_PATIENCE = 10
"""Deaths that a trial may be blamed for without having been begun."""


@dataclass(frozen=True)
class PoolOptions:
    """workers: processes on this machine. scheduler: address of one to use instead, "" for none."""

    workers: int = 1
    scheduler: str = ""


class Pool:
    """Workers that are there."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def make(self, attempts: Sequence[Attempt], on_end: Callable[[Outcome], None]) -> list[Outcome]:
        """All trials, in parallel; outcomes in the order of `attempts`, `on_end` as they come."""
        from distributed import as_completed

        places = {self._begin(attempt): place for place, attempt in enumerate(attempts)}
        found: dict[int, Outcome] = {}
        blamed = [0] * len(attempts)
        queue = as_completed(list(places))
        for future in queue:
            place = places[future]
            blamed[place] += future.status == "error"
            if future.status == "error" and self._may_begin_again(attempts[place], future, blamed[place]):
                again = self._begin(attempts[place])
                places[again] = place
                queue.add(again)
                continue
            found[place] = attempts[place].given_up() if future.status == "error" else future.result()
            on_end(found[place])
        return [found[place] for place in range(len(attempts))]

    def measure(self, attempt: Attempt, made: Outcome) -> Outcome:
        """Time one trial, on the same worker as all others, while no other work is given out."""
        outcome = self.alone(measure_attempt, attempt, made)
        return _lost(made, "its worker died while it was timed") if outcome is None else outcome

    def alone(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call it on one worker, always the same while it lives; None where the worker dies of it."""
        from distributed import KilledWorker

        workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        future = self._client.submit(
            function, *arguments, workers=workers[:1], allow_other_workers=True, pure=False
        )
        try:
            result: T = future.result()
        except KilledWorker:
            return None
        return result

    def _begin(self, attempt: Attempt) -> Future:
        return self._client.submit(run_attempt, attempt, pure=False)

    def _may_begin_again(self, attempt: Attempt, future: Future, blamed: int) -> bool:
        """Raises what is no death of a worker: the errors of a trial are outcomes, others are faults."""
        from distributed import KilledWorker

        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise StepError(f"a worker could not be used: {error}", "is the same Ulna installed on it?")
        return not attempt.is_used_up and blamed <= attempt.retries + _PATIENCE


@contextmanager
def open_pool(options: PoolOptions, retries: int) -> Iterator[Pool]:
    """Raises StepError for a scheduler that does not answer."""
    import dask

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set({"distributed.scheduler.allowed-failures": retries}), _client(options) as client:
        yield Pool(client)


@contextmanager
def _client(options: PoolOptions) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if options.scheduler:
        try:
            client = connect(options.scheduler)
        except UlnaError as error:
            raise StepError(str(error), error.hint) from error
        with client:
            yield client
        return
    cluster = LocalCluster(
        n_workers=options.workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        memory_limit=0,  # the kernel knows better than a share of the machine who has too much
    )
    with cluster, Client(cluster) as client:
        yield client


def _lost(made: Outcome, reason: str) -> Outcome:
    assert made.status == MADE
    return Outcome(made.number, made.params, FAILED, reason=reason, seconds=made.seconds)
