"""A report as PDF, made in a child process; the kiosk's side. However the child ends, the kiosk goes on."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from device_app.report.channel import Ending, Job, Made, pack
from runtime.errors import UlnaError

_log = logging.getLogger("ulna.report")
_MIB = 1 << 20


class Trouble(StrEnum):
    """Why there is no PDF."""

    BUSY = "busy"
    NO_PROGRAM = "no_program"
    NO_FONT = "no_font"
    FAILED = "failed"


class PdfError(UlnaError):
    """There is no PDF. trouble: why."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message, hint="print the report from the browser instead")
        self.trouble = trouble


@dataclass(frozen=True)
class PdfLimits:
    """memory_bytes: beyond what the child has mapped with its libraries. cpu_s: of computing. wall_s: in all.
    at_once: children; waiting: requests that wait for one of them, wait_s each. A kiosk serves six requests
    at a time, and screens must not wait for paper.
    """

    memory_bytes: int = 768 * _MIB
    cpu_s: int = 60
    wall_s: float = 90.0
    at_once: int = 2
    waiting: int = 1
    wait_s: float = 10.0


class PdfMaker:
    """Makes PDFs, a few at a time."""

    def __init__(self, limits: PdfLimits = PdfLimits()) -> None:
        self._limits = limits
        self._rooms = threading.BoundedSemaphore(limits.at_once)
        self._doors = threading.BoundedSemaphore(limits.at_once + limits.waiting)

    def make(self, job: Job) -> Made:
        """A PDF of one page. Raises PdfError, with every trouble that there is."""
        limits = self._limits
        with self._turn():
            given = pack(replace(job, memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s))
            code, answer = _ask(given, limits.wall_s)
        if code == Ending.DONE:
            with contextlib.suppress(ValueError):
                return Made.of_bytes(answer)
        _log.error("a report was not made into a PDF: the child ended with %s", code)
        known = {Ending.NO_PROGRAM: Trouble.NO_PROGRAM, Ending.NO_FONT: Trouble.NO_FONT}
        trouble = known.get(code, Trouble.FAILED)  # type: ignore[call-overload]
        raise PdfError(trouble, f"no PDF was made, the child ended with {code}")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._doors.acquire(blocking=False):
            raise PdfError(Trouble.BUSY, "other reports are being made")
        try:
            if not self._rooms.acquire(timeout=self._limits.wait_s):
                raise PdfError(Trouble.BUSY, "other reports are being made")
            try:
                yield
            finally:
                self._rooms.release()
        finally:
            self._doors.release()


def _ask(given: bytes, wall_s: float) -> tuple[int | None, bytes]:
    """The child's exit code, None where it took too long or could not be started, and what it gave."""
    # -P, and the kiosk's own module path instead: the current folder may be anybody's.
    path = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "device_app.report.child"],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may quote the page
            timeout=wall_s,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.error("the child that makes PDFs: %s", type(error).__name__)
        return None, b""
    return done.returncode, done.stdout
