"""A module of Ulna in a process of its own: a question on its standard input, an answer on its output.

An engine is native code that looks at this very processor: it may crash, end the process or never answer,
even while it is imported. In a child that is an answer like any other.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime import strict
from runtime.errors import BackendError, BundleFormatError

_PR_SET_PDEATHSIG = 1
_LAST_WORDS_LENGTH = 300
_FIRST_TO_END = b"1000"


def ask(module: str, question: dict[str, Any], timeout_s: float) -> Any:
    """Run `python -m module`, whose `main` calls `answer`, and return what it answered.

    Raises BackendError, in words that fit after an engine's name, for a child that gave no answer.
    """
    # -P, and the parent's own module path instead: the current folder may be a stranger's USB stick.
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"gave no answer within {timeout_s:g} s") from error
    if done.returncode != 0 or not done.stdout:
        raise BackendError(_ending(done.returncode, done.stderr))
    try:
        return strict.loads(done.stdout, "answer")
    except BundleFormatError as error:
        raise BackendError(f"gave an answer that cannot be read: {error}") from error


def answer(reply: Callable[[Any], dict[str, Any]]) -> None:
    """The child's side: `reply` turns the question into the answer. Does not return."""
    _die_with_parent()
    _be_ended_first()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a result here, no file on a small disk
    output = os.dup(1)
    os.dup2(2, 1)  # engines print what they like; that is not the answer
    given = reply(strict.loads(sys.stdin.buffer.read(), "question"))
    with os.fdopen(output, "wb") as stream:
        stream.write(json.dumps(given).encode())
    # Some engines crash while they tidy up at exit; the answer has been given by now.
    os._exit(0)


def _ending(returncode: int, stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:_LAST_WORDS_LENGTH]}" if lines else ""
    if returncode == 0:
        return f"ended without an answer{said}"
    if returncode > 0:
        return f"ended with exit code {returncode}{said}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"crashed with {name}{said}"


def _die_with_parent() -> None:
    """Should the parent be killed, nobody is left to end a child that hangs in native code (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _be_ended_first() -> None:
    """An engine that eats the memory shall lose this child, not the installer or a kiosk that is at work."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_END)
