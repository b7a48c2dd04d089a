"""The process that reads pictures for a batch: it opens the bundle by its digest, then answers task by task.

Its parent is runtime.batch.crew. An engine may crash or hang it; that costs the picture it was at.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.backends.base import BackendOptions
from runtime.batch.order import Order, Ready, Stop, answer_to
from runtime.batch.task import Answer, Task
from runtime.bundle import open_pinned
from runtime.errors import InputError, UlnaError
from runtime.readers import load

if TYPE_CHECKING:
    from runtime.detector import Detector

_PR_SET_PDEATHSIG = 1
_NO_LIMIT_S = 1e6
_FIRST_TO_END = b"1000"


def main() -> None:
    """The child: an Order, then a Task after the other in; Ready, then an Answer each out."""
    channel = Connection(int(sys.argv[1]))
    _prepare()
    try:
        order: Order = channel.recv()
        _limit_threads(order.threads)
        with open_detector(order) as detector:
            channel.send(Ready())
            while True:
                channel.send(examine(detector, order, channel.recv()))
    except (EOFError, BrokenPipeError):  # the parent has no more, or is gone
        pass
    except UlnaError as error:
        channel.send(Stop(str(error), error.hint))
    # Some engines crash while they tidy up at exit; all answers have been given by now.
    os._exit(0)


def open_detector(order: Order) -> Detector:
    """Raises BundleError for a bundle that has changed, BackendError for an engine that does not load."""
    from runtime.detector import Detector
    from runtime.loading import Watch, load_engine

    bundle = open_pinned(Path(order.root), order.digest, order.signed_by)
    # The crew watches, and ends the whole process.
    loaded = load_engine(
        bundle, bundle.entry(order.engine), BackendOptions(threads=order.threads), Watch(limit_s=_NO_LIMIT_S)
    )
    return Detector(loaded.backend, loaded.spec)


def examine(detector: Detector, order: Order, task: Task) -> Answer:
    """Read one picture and answer; what cannot be read is an answer too.

    Raises UlnaError where the picture with the answer on it cannot be written.
    """
    data = task.data
    try:
        if task.error is not None:
            raise task.error
        if data is None:
            data = load(Path(task.place.path))
    except InputError as error:
        return answer_to(order, task.place, detector.refuse(error), None)
    return answer_to(order, task.place, detector.detect_bytes(data, facts=order.facts), data)


def _prepare() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Should memory run out, this one goes first: its parent lists the file.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_END)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_threads(threads: int) -> None:
    """Of OpenCV too: workers that each use every core are in one another's way."""
    if threads:
        import cv2

        cv2.setNumThreads(threads)


if __name__ == "__main__":
    main()
