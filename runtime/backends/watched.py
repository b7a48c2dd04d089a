"""An engine under watch: an inference that does not end in time is a failure, and the engine is lost."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import Backend, TensorInfo
from runtime.errors import InferenceError, InferenceTimeoutError

LONGEST_S = 60.0
"""For an engine that nobody has timed on this machine."""
_KEPT_TIMES = 15
Feeds: TypeAlias = Mapping[str, NDArray[np.generic]]
Answer: TypeAlias = dict[str, NDArray[np.float32]]


class WatchedBackend:
    """`inner` on a thread of its own, asked one thing at a time; see Backend.

    Nothing can end a thread that computes natively. One that hangs is left behind with its engine, which is
    never asked again: `hangs` says so, and whoever can should end the process.
    """

    def __init__(
        self,
        inner: Backend,
        limit_s: float = LONGEST_S,
        at_work: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """at_work: entered while it computes, and left again if the process lives that long."""
        self.name, self.device = inner.name, inner.device
        self.limit_s = limit_s
        self.recent_ms: deque[float] = deque(maxlen=_KEPT_TIMES)
        """Of the last inferences that gave an answer."""
        self._at_work = at_work
        self._inner = inner
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[tuple[Feeds, Future[Answer]] | None] = queue.SimpleQueue()
        self._closed = self._lost = False
        threading.Thread(target=self._compute, name=f"{self.name} engine", daemon=True).start()

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` wants."""
        return self._inner.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` gives."""
        return self._inner.outputs

    @property
    def hangs(self) -> bool:
        """Whether an inference was given up that may still be running."""
        return self._lost

    def infer(self, feeds: Feeds) -> Answer:
        """Run once; see Backend.infer. Raises InferenceTimeoutError where no answer comes in time, ever after
        as well.
        """
        with self._lock:
            if self._lost:
                raise InferenceTimeoutError(f"{self.name} hangs since an earlier inference")
            if self._closed:
                raise InferenceError(f"{self.name}: the backend is closed")
            answer: Future[Answer] = Future()
            self._asked.put((feeds, answer))
            try:
                return answer.result(self.limit_s)
            except TimeoutError as error:
                if answer.done():  # the engine's own
                    raise
                self._lost = True
                raise InferenceTimeoutError(
                    f"{self.name} gave no answer within {self.limit_s:g} s"
                ) from error

    def close(self) -> None:
        """Free the engine, unless it hangs: it may hold what freeing it would wait for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._asked.put(None)
        if not self._lost:
            self._inner.close()

    def _compute(self) -> None:
        while (asked := self._asked.get()) is not None:
            feeds, answer = asked
            try:
                with self._at_work():
                    started = time.perf_counter()
                    outputs = self._inner.infer(feeds)
                    self.recent_ms.append((time.perf_counter() - started) * 1e3)
            except BaseException as error:
                answer.set_exception(error)
            else:
                answer.set_result(outputs)
                del outputs
            del asked, feeds, answer  # a picture is not kept until the next one comes
