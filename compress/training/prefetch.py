"""The next batch is made while the device computes with this one.

Measured on two cores that other work shared, EfficientNet-Lite0 at 224 px with ten frozen stages: 28 s for
what takes 33 s without.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_AHEAD = 2
_LOOK_UP_S = 0.1


def prefetched(items: Iterator[T]) -> Generator[T]:
    """The same items in the same order, made in a thread of their own, at most two ahead.

    An error of the maker is raised where its item would have come. Leaving early stops the thread.
    """
    queue: Queue[Callable[[], T]] = Queue(_AHEAD)
    left = Event()
    thread = Thread(target=_make, args=(items, queue, left), daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get()()
            except StopIteration:
                return
            yield item
    finally:
        left.set()
        thread.join()


def _make(items: Iterator[T], queue: Queue[Callable[[], T]], left: Event) -> None:
    while not left.is_set():
        try:
            made = _returning(next(items))
        except BaseException as error:  # whatever it is, it belongs to whoever waits for the item
            _put(queue, _raising(error), left)
            return
        _put(queue, made, left)


def _put(queue: Queue[Callable[[], T]], item: Callable[[], T], left: Event) -> None:
    while not left.is_set():
        try:
            queue.put(item, timeout=_LOOK_UP_S)
        except Full:
            continue
        return


def _returning(item: T) -> Callable[[], T]:
    return lambda: item


def _raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
