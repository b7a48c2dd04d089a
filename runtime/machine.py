"""What this machine is: the facts on which a measured time depends."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_BOARD_MODEL = "/proc/device-tree/model"
"""On ARM boards, whose /proc/cpuinfo names no processor."""

_INTERESTING_FLAGS = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
)


@dataclass(frozen=True)
class Machine:
    """cores: of the machine. usable_cores: those this process may use. cpu_flags: those engines care for."""

    cpu: str
    architecture: str
    cores: int
    usable_cores: int
    memory_bytes: int
    cpu_flags: tuple[str, ...]
    system: str
    python: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return {**asdict(self), "cpu_flags": list(self.cpu_flags)}


def describe() -> Machine:
    """Read the facts; what the system does not tell is "" or 0."""
    info = _cpu_info(_read("/proc/cpuinfo"))
    flags = (info.get("flags") or info.get("features") or "").split()
    return Machine(
        cpu=info.get("model name") or _read(_BOARD_MODEL).strip("\0\n ") or platform.machine(),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        memory_bytes=_memory_bytes(_read("/proc/meminfo")),
        cpu_flags=tuple(flag for flag in _INTERESTING_FLAGS if flag in flags),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the container's quota where there is one."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, quota_cores(_read("/sys/fs/cgroup/cpu.max")) or allowed))


def quota_cores(cpu_max: str) -> int | None:
    """Whole cores of a cgroup v2 quota such as "150000 100000" (two), None for "max" or nothing."""
    words = cpu_max.split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return max(1, math.ceil(int(words[0]) / int(words[1])))


def peak_memory_bytes() -> int:
    """Largest resident set of this process since its program was started; 0 where the system does not say.

    VmHWM rather than getrusage: ru_maxrss of a child starts at the size of the parent it was forked from.
    """
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def boot_id() -> str:
    """Another one after every start of the machine (Linux); "" where the system does not say."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _cpu_info(text: str) -> dict[str, str]:
    first = text.split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _memory_bytes(text: str) -> int:
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
