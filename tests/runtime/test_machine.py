"""Facts about this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from runtime import machine


def test_the_facts_are_those_of_this_machine() -> None:
    here = machine.describe()
    assert 1 <= here.usable_cores <= here.cores
    assert here.cpu and here.architecture and here.system
    assert here.memory_bytes > 64 << 20
    assert json.loads(json.dumps(here.to_json()))["cores"] == os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity on this system")
def test_cores_that_are_forbidden_are_not_counted() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from runtime.machine import usable_cores; print(usable_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"1"


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("", None),
        ("150000 100000\n", 2),
        ("50000 100000", 1),
        ("400000 100000", 4),
        ("100000 0", None),
        ("a b c", None),
    ],
)
def test_a_container_quota_is_whole_cores(text: str, cores: int | None) -> None:
    assert machine.quota_cores(text) == cores


@pytest.mark.skipif(sys.platform != "linux", reason="/proc only")
def test_peak_memory_grows_with_what_is_used_and_not_with_what_the_parent_used() -> None:
    code = "from runtime.machine import peak_memory_bytes as p; a = p(); b = bytearray(64 << 20); "
    code += "b[:] = b'x' * len(b); print(a, p())"
    ballast = bytearray(b"x" * (128 << 20))  # what getrusage would hand on to the child
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    before, after = map(int, done.stdout.split())
    assert before < len(ballast)
    assert after - before > 60 << 20
