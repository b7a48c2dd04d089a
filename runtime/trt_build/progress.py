"""How far a build is: said by the library in the child, carried to the parent as lines in a named pipe."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import strict
from runtime.errors import BundleFormatError

_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class BuildProgress:
    """A phase of a build and how many of its steps are done. parent: the phase around it, "" for none."""

    phase: str
    parent: str
    done: int
    total: int
    ended: bool = False


Listener = Callable[[BuildProgress], None]


def make_monitor(trt: Any, say: Listener) -> Any:
    """TensorRT's progress monitor that tells `say`; None for a library that has none (before 10)."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base class is known at run time only
        """Called from the builder's own threads."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()
            self._phases: dict[str, BuildProgress] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._tell(BuildProgress(phase_name, parent_phase or "", 0, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._change(phase_name, done=step + 1)
            return True  # False would end the build

        def phase_finish(self, phase_name: str) -> None:
            self._change(phase_name, ended=True)

        def _change(self, phase_name: str, **changes: Any) -> None:
            with self._lock:
                known = self._phases.get(phase_name)
            if known is not None:
                self._tell(dataclasses.replace(known, **changes))

        def _tell(self, now: BuildProgress) -> None:
            with self._lock:
                self._phases[now.phase] = now
                say(now)

    return Monitor()


@contextmanager
def telling(pipe: Path) -> Iterator[Listener]:
    """The child's end. A parent that does not listen costs lines, never the build."""
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        yield lambda _: None
        return

    def say(now: BuildProgress) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, json.dumps(dataclasses.asdict(now)).encode() + b"\n")

    try:
        yield say
    finally:
        os.close(descriptor)


@contextmanager
def listening(pipe: Path, listener: Listener) -> Iterator[None]:
    """The parent's end: makes the pipe and calls `listener`, in a thread of its own, for every line."""
    os.mkfifo(pipe, 0o600)
    # Open for both ways, so that it never looks closed before the child has come.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    wake, stop = os.pipe()
    thread = threading.Thread(target=_listen, args=(descriptor, wake, listener), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(stop)
        thread.join()
        os.close(descriptor)
        os.close(wake)


def _listen(descriptor: int, wake: int, listener: Listener) -> None:
    left = b""
    while True:
        ready, _, _ = select.select([descriptor, wake], [], [])
        if descriptor not in ready:  # asked to stop, and nothing is left to be read
            return
        *lines, left = (left + os.read(descriptor, _READ_BYTES)).split(b"\n")
        for line in lines:
            with contextlib.suppress(BundleFormatError):
                listener(strict.build(BuildProgress, strict.loads(line, "progress"), "progress"))
