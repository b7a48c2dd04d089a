"""Work that another thread may take, done here where that thread has no time for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Result = TypeVar("Result")


def begin(executor: Executor | None, work: Callable[[], Result]) -> Callable[[], Result]:
    """What waits for the work and gives its result, or raises what it raised.

    Work that the executor has not begun by then is done by the one who waits; without an executor all is.
    """
    if executor is None:
        return work
    future = executor.submit(work)
    return lambda: work() if future.cancel() else future.result()
