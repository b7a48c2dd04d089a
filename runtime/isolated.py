"""One engine's self-test in a process of its own.

An engine is native code that compiles a graph for this very processor: it may crash, or never answer. Here
that ends a child and is a result like any other. It also makes the memory measured the engine's own.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runtime import strict
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle, open_pinned
from runtime.errors import UlnaError
from runtime.golden import EngineResult, examine, refused
from runtime.latency import LatencyOptions
from runtime.machine import peak_memory_bytes
from runtime.manifest import EngineEntry

_PR_SET_PDEATHSIG = 1
_LAST_WORDS_LENGTH = 300


@dataclass(frozen=True)
class Request:
    """What the child is told: an entry of a bundle, which it opens by the digest that its parent checked."""

    root: str
    digest: str
    signed_by: str
    key: str
    options: BackendOptions
    timing: LatencyOptions


def examine_isolated(
    bundle: Bundle, entry: EngineEntry, options: BackendOptions, timing: LatencyOptions, timeout_s: float
) -> EngineResult:
    """`golden.examine` in a child. A crash, a hang or an answer that cannot be read is a failed result."""
    request = Request(str(bundle.root), bundle.digest, bundle.signed_by, entry.key, options, timing)
    # -P, and the parent's own module path instead: the current folder may be a stranger's USB stick.
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "runtime.isolated"],
            input=json.dumps(dataclasses.asdict(request)).encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
    except subprocess.TimeoutExpired:
        return refused(bundle, entry, f"gave no answer within {timeout_s:g} s")
    try:
        if done.returncode == 0:
            return strict.build(EngineResult, strict.loads(done.stdout, "answer"), "answer")
        return refused(bundle, entry, _ending(done.returncode, done.stderr))
    except UlnaError as error:
        return refused(bundle, entry, f"gave an answer that cannot be read: {error}")


def _ending(returncode: int, stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:_LAST_WORDS_LENGTH]}" if lines else ""
    if returncode >= 0:
        return f"ended with exit code {returncode}{said}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"crashed with {name}{said}"


def main() -> None:
    """The child: a Request on standard input, an EngineResult on standard output."""
    _die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a result here, no file on a small disk
    answer = os.dup(1)
    os.dup2(2, 1)  # engines print what they like; that is not the answer
    request = strict.build(Request, strict.loads(sys.stdin.buffer.read(), "request"), "request")
    bundle = open_pinned(Path(request.root), request.digest, request.signed_by)
    base_bytes = peak_memory_bytes()
    result = examine(bundle, bundle.entry(request.key), request.options, request.timing)
    result = dataclasses.replace(result, memory_bytes=peak_memory_bytes(), base_memory_bytes=base_bytes)
    with os.fdopen(answer, "wb") as stream:
        stream.write(json.dumps(dataclasses.asdict(result)).encode())
    # Some engines crash while they tidy up at exit; the answer has been given by now.
    os._exit(0)


def _die_with_parent() -> None:
    """Should the parent be killed, nobody is left to end a child that hangs in native code (Linux only)."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


if __name__ == "__main__":
    main()
