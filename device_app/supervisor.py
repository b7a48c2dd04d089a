"""Starts the inference process, watches it, ends it when it hangs, and starts the next one.

The worker reports lines of JSON. No line within the time its present activity may take means that it
hangs. However it ends, its leases end with it, at the latest before the next one starts; and the pause before
that doubles while starts keep failing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace

from device_app.config import KioskConfig, WorkerLimits
from device_app.protocol import EXIT_CANNOT_ANSWER, EXIT_ENGINE_FAILED, STOP, WAKE, WorkerArguments
from device_app.status import Phase, ReaderStatus
from device_app.store.queue import FailureCode, Queue
from runtime.errors import UlnaError

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5
_STOP_PATIENCE_S = 10.0
_LINE_LIMIT_BYTES = 1 << 16
_CLOSED = -1


@dataclass
class _Worker:
    """A running worker and what it last said."""

    process: subprocess.Popen[bytes]
    owner: str
    reports: int
    activity: str = "starting"
    since: float = 0.0
    pending: bytes = b""


class Supervisor:
    """Keeps one worker alive on a thread of its own, from `start` to `stop`."""

    def __init__(self, config: KioskConfig, queue: Queue) -> None:
        self._config = config
        self._queue = queue
        self._status = ReaderStatus(Phase.STARTING)
        self._worker: _Worker | None = None
        self._owners: list[str] = []
        """Of workers whose leases have not been given back yet."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the first worker; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker; a picture it was reading goes back to the queue unless it finishes in time."""
        self._stopping.set()
        self._order(STOP)
        self._thread.join(_STOP_PATIENCE_S + 2 * _LOOK_EVERY_S + 5)

    def status(self) -> ReaderStatus:
        """How the worker is."""
        return self._status

    def wake(self) -> None:
        """Tell the worker that something was queued."""
        self._order(WAKE)

    def _run(self) -> None:
        limits, pause_s = self._config.limits, self._config.limits.first_pause_s
        while not self._stopping.is_set():
            started = self._live_once()
            pause_s = limits.first_pause_s if started else min(pause_s * 2, limits.longest_pause_s)
            self._stopping.wait(pause_s)
        self._status = replace(self._status, phase=Phase.STOPPED, pid=None)

    def _live_once(self) -> bool:
        """One worker from start to end; True when it got as far as reading pictures."""
        worker = None
        try:
            self._give_back()
            worker = self._spawn()
            self._owners.append(worker.owner)
            failure, detail = self._watch(worker)
            self._end(worker, failure, detail)
        except Exception as error:  # this thread must outlive whatever happens, and say so
            _log.exception("the supervision of the worker failed")
            reason, hint = _explain(error)
            self._status = replace(
                self._status, phase=Phase.CANNOT_ANSWER, reason=reason, hint=hint, pid=None
            )
            if worker is not None:
                self._bury(worker)
            return False
        return worker.activity not in ("starting", Phase.CANNOT_ANSWER)

    def _spawn(self) -> _Worker:
        reader, writer = os.pipe()
        owner = secrets.token_hex(8)
        arguments = WorkerArguments(
            bundle=self._config.bundle,
            data_dir=self._config.data_dir,
            trust=self._config.trust,
            threads=self._config.threads,
            memory_bytes=self._config.limits.memory_bytes,
            owner=owner,
            report_fd=writer,
        )
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "device_app.worker", *arguments.to_argv()],
                stdin=subprocess.PIPE,
                stdout=sys.stderr.fileno(),
                pass_fds=(writer,),
                start_new_session=True,  # a Ctrl-C meant for the kiosk must not count as a picture's fault
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        worker = _Worker(process, owner, reader, since=time.monotonic())
        self._worker = worker
        cannot = self._status.phase is Phase.CANNOT_ANSWER  # stays on the screens until proven better
        self._status = replace(
            self._status, phase=self._status.phase if cannot else Phase.STARTING, pid=process.pid
        )
        return worker

    def _watch(self, worker: _Worker) -> tuple[FailureCode, str]:
        """Follow a worker until it ends or hangs; says how it failed."""
        stop_deadline = float("inf")
        with selectors.DefaultSelector() as selector:
            selector.register(worker.reports, selectors.EVENT_READ)
            while True:
                if selector.select(_LOOK_EVERY_S) and not self._listen(worker):
                    return _how_it_ended(worker.process.wait())
                now = time.monotonic()
                if self._stopping.is_set():
                    patience_s = 0.0 if worker.activity == "starting" else _STOP_PATIENCE_S
                    stop_deadline = min(stop_deadline, now + patience_s)
                hangs = now - worker.since > _patience_s(worker.activity, self._config.limits)
                if hangs or now > stop_deadline:
                    _kill(worker)
                    return FailureCode.TIMEOUT, f"no answer while {worker.activity}"

    def _listen(self, worker: _Worker) -> bool:
        """Take in what the worker wrote; False at its end."""
        data = os.read(worker.reports, _LINE_LIMIT_BYTES)
        *lines, worker.pending = (worker.pending + data).split(b"\n")
        for line in lines:
            self._note(worker, json.loads(line))
        return bool(data)

    def _note(self, worker: _Worker, report: dict[str, str]) -> None:
        event = report.pop("event")
        worker.since = time.monotonic()
        if event == Phase.READY:
            report = {"reason": "", "hint": "", **report}
            self._status = replace(self._status, phase=Phase.READY, **report)  # type: ignore[arg-type]
        elif event in (Phase.CANNOT_ANSWER, "no_room"):
            self._status = replace(self._status, phase=Phase.CANNOT_ANSWER, **report)  # type: ignore[arg-type]
        elif event == Phase.STARTING:
            self._status = replace(self._status, **report)  # type: ignore[arg-type]
        elif event == "done":
            self._status = replace(self._status, phase=Phase.READY, reason="", hint="")
        worker.activity = event

    def _end(self, worker: _Worker, failure: FailureCode, detail: str) -> None:
        """Close what belongs to an ended worker and give its picture back."""
        self._bury(worker)
        if self._stopping.is_set():
            self._queue.release(worker.owner)
        elif worker.process.returncode == EXIT_CANNOT_ANSWER:
            self._queue.recover(worker.owner)  # it has said what was wrong: no picture
        else:
            self._queue.abandon(worker.owner, failure, detail)
        self._owners.remove(worker.owner)
        if not self._stopping.is_set():
            self._status = self._after_death(worker, detail)

    def _bury(self, worker: _Worker) -> None:
        """End it and what it started, and close what it leaves, unless that is done."""
        self._worker = None
        _kill(worker)
        reports, worker.reports = worker.reports, _CLOSED
        if reports != _CLOSED:
            os.close(reports)
        if worker.process.stdin is not None:
            worker.process.stdin.close()

    def _give_back(self) -> None:
        """What could not be given back when its worker ended. Raises StoreError where that still cannot be:
        a worker that starts now would leave that picture waiting for ever.
        """
        for owner in tuple(self._owners):
            self._queue.recover(owner)
            self._owners.remove(owner)

    def _after_death(self, worker: _Worker, detail: str) -> ReaderStatus:
        status = replace(self._status, pid=None, restarts=self._status.restarts + 1)
        if worker.process.returncode == EXIT_CANNOT_ANSWER:
            return status
        if worker.activity == "starting":
            return replace(status, phase=Phase.CANNOT_ANSWER, reason=f"the model cannot be started: {detail}")
        return replace(status, phase=Phase.RESTARTING)

    def _order(self, order: bytes) -> None:
        worker = self._worker
        if worker is None or worker.process.stdin is None:
            return
        try:
            os.write(worker.process.stdin.fileno(), order)
        except (OSError, ValueError):
            return  # it is just ending; the next worker looks at the queue by itself


def _explain(error: Exception) -> tuple[str, str]:
    """Reason and hint for the screens."""
    if isinstance(error, UlnaError):
        return str(error), error.hint
    return f"{type(error).__name__}: {error}", ""


def _kill(worker: _Worker) -> None:
    """End the worker and everything it started: it leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()


def _patience_s(activity: str, limits: WorkerLimits) -> float:
    known = {"starting": limits.start_s, "working": limits.job_s}
    return known.get(activity, limits.silence_s)


def _how_it_ended(code: int) -> tuple[FailureCode, str]:
    if code == EXIT_ENGINE_FAILED:
        return FailureCode.ENGINE, "the engine gave no answer"
    detail = f"stopped by signal {-code}" if code < 0 else f"ended with code {code}"
    return FailureCode.DIED, detail
