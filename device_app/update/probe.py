"""The self-test of a bundle in a process of its own.

An engine is native code that compiles a foreign graph: it may crash or never answer. Here that ends a child,
never the installer, and it counts as a failed test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.selftest import choose

from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.trust import TrustStore

DEFAULT_TIMEOUT_S = 600.0
_LAST_WORDS_CHARS = 300


@dataclass(frozen=True)
class ProbeResult:
    """passed: some engine gave every golden answer. engine: which was chosen. reason: why, in one line.

    digest: of the bundle that was tested, "" where it could not even be opened.
    """

    passed: bool
    engine: str
    reason: str
    digest: str = ""


def probe(bundle: Path, trust: Path, timeout_s: float = DEFAULT_TIMEOUT_S) -> ProbeResult:
    """Test the bundle in a child; a crash, a hang and an answer that cannot be read are failures."""
    # -P: the current folder, perhaps a stranger's USB stick, is not where Python looks for modules.
    command = [sys.executable, "-P", "-m", "device_app.update.probe", str(bundle), str(trust), str(timeout_s)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return ProbeResult(False, "", f"the self-test gave no answer within {timeout_s:g} s")
    return read_answer(done.returncode, done.stdout, done.stderr)


def read_answer(returncode: int, stdout: bytes, stderr: bytes) -> ProbeResult:
    """What a child said; anything but a well-formed answer and exit code 0 is a failure."""
    try:
        if returncode == 0:
            return ProbeResult(**json.loads(stdout))
    except (ValueError, TypeError):
        pass
    end = f"signal {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
    words = stderr.decode("utf-8", "replace").strip().splitlines()
    said = f": {words[-1][:_LAST_WORDS_CHARS]}" if words else ""
    return ProbeResult(False, "", f"the self-test ended with {end}{said}")


def test_here(bundle: Path, trust: Path) -> ProbeResult:
    """Open the bundle, run its golden cases on every engine of this machine, choose one."""
    try:
        opened = open_bundle(bundle, TrustStore.from_paths(trust))
    except UlnaError as error:
        return ProbeResult(False, "", str(error))
    try:
        choice = choose(opened)
    except UlnaError as error:
        return ProbeResult(False, "", str(error), opened.digest)
    return ProbeResult(True, choice.key, choice.reason, opened.digest)


def main(bundle: str, trust: str, timeout_s: str) -> None:
    """The child: its answer is one JSON object on standard output."""
    # Should the parent be killed, nobody is left to end a child that hangs in native code.
    signal.alarm(int(float(timeout_s)) + 1)
    answer = os.dup(1)
    os.dup2(2, 1)  # engines print what they like; that is not the answer
    result = test_here(Path(bundle), Path(trust))
    with os.fdopen(answer, "wb") as stream:
        stream.write(json.dumps(asdict(result)).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
