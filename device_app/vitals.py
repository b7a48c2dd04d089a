"""How the box itself is: heat, memory, disk, load, throttling, read from /proc and /sys and nothing else.

What a machine does not tell is None, never zero: a virtual machine has no thermometer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_ROOT = Path("/")
_HOT_C, _NEAR_CRITICAL_C = 85.0, 10.0
_PLAUSIBLE_C = (1.0, 150.0)
"""Sensors that are not connected read 0, -40 or 255."""
_SCARCE_MEMORY = 0.08
_SCARCE_DISK = 0.05
_BUSY = 4.0
_RASPBERRY = "sys/devices/platform/soc/soc:firmware/get_throttled"
_RASPBERRY_NOW = 0b1111
_COOLING = ("Processor", "cpufreq", "thermal-cpufreq")


class Trouble(StrEnum):
    """What somebody should look at."""

    HOT = "hot"
    THROTTLED = "throttled"
    MEMORY = "memory"
    DISK = "disk"
    BUSY = "busy"


@dataclass(frozen=True)
class Vitals:
    """temperature_c: of the hottest sensor. critical_c: at which that one switches off.

    load: runnable processes over the last five minutes, for each core. throttled: whether the processor is
    being slowed down on account of heat or supply; None where nothing tells.
    """

    temperature_c: float | None = None
    critical_c: float | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    load: float | None = None
    cores: int | None = None
    throttled: bool | None = None


def read_vitals(data_dir: Path, root: Path = _ROOT) -> Vitals:
    """Now. data_dir: on the disk that fills up. root: of the machine's /proc and /sys."""
    temperature, critical = _hottest(root)
    memory = _memory(root)
    disk, disk_free = _disk(data_dir)
    cores = os.cpu_count()
    return Vitals(
        temperature_c=temperature,
        critical_c=critical,
        memory_bytes=memory.get("MemTotal"),
        memory_free_bytes=memory.get("MemAvailable"),
        disk_bytes=disk,
        disk_free_bytes=disk_free,
        load=_load(root, cores),
        cores=cores,
        throttled=_throttled(root),
    )


def troubles(vitals: Vitals) -> tuple[Trouble, ...]:
    """What of it is out of the ordinary; what is not known is not."""
    found = {
        Trouble.HOT: vitals.temperature_c is not None
        and vitals.temperature_c >= hot_from_c(vitals.critical_c),
        Trouble.THROTTLED: vitals.throttled is True,
        Trouble.MEMORY: _is_scarce(vitals.memory_free_bytes, vitals.memory_bytes, _SCARCE_MEMORY),
        Trouble.DISK: _is_scarce(vitals.disk_free_bytes, vitals.disk_bytes, _SCARCE_DISK),
        Trouble.BUSY: vitals.load is not None and vitals.load >= _BUSY,
    }
    return tuple(trouble for trouble, holds in found.items() if holds)


def hot_from_c(critical_c: float | None) -> float:
    """From where it is hot: 85 degrees, or 10 below where the sensor says that it switches off."""
    return _HOT_C if critical_c is None else min(_HOT_C, critical_c - _NEAR_CRITICAL_C)


def _is_scarce(free: int | None, total: int | None, share: float) -> bool:
    return free is not None and total is not None and free < share * total


def _hottest(root: Path) -> tuple[float | None, float | None]:
    low, high = _PLAUSIBLE_C
    found = [pair for pair in _sensors(root) if low <= pair[0] <= high]
    return max(found, key=lambda pair: pair[0], default=(None, None))


def _sensors(root: Path) -> Iterator[tuple[float, float | None]]:
    """Degrees and critical degrees of each."""
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        if (degrees := _thousandths(zone / "temp")) is not None:
            yield degrees, _critical_of(zone)
    for path in sorted(root.glob("sys/class/hwmon/hwmon*/temp*_input")):
        if (degrees := _thousandths(path)) is not None:
            yield degrees, _thousandths(path.with_name(path.name.replace("_input", "_crit")))


def _critical_of(zone: Path) -> float | None:
    for kind in sorted(zone.glob("trip_point_*_type")):
        if _text(kind) == "critical":
            return _thousandths(kind.with_name(kind.name.replace("_type", "_temp")))
    return None


def _memory(root: Path) -> dict[str, int]:
    """Bytes by name, of those lines of /proc/meminfo that are in kB."""
    rows = (line.split() for line in (_text(root / "proc/meminfo") or "").splitlines())
    return {
        row[0].rstrip(":"): int(row[1]) << 10
        for row in rows
        if len(row) == 3 and row[1].isascii() and row[1].isdigit()
    }


def _disk(folder: Path) -> tuple[int | None, int | None]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None, None
    return found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail


def _load(root: Path, cores: int | None) -> float | None:
    words = (_text(root / "proc/loadavg") or "").split()
    try:
        return float(words[1]) / (cores or 1)
    except (IndexError, ValueError):
        return None


def _throttled(root: Path) -> bool | None:
    """A Raspberry Pi says so itself; elsewhere the kernel's cooling of processors does."""
    bits = _text(root / _RASPBERRY)
    if bits is not None:
        try:
            return bool(int(bits, 16) & _RASPBERRY_NOW)
        except ValueError:
            return None
    devices = sorted(root.glob("sys/class/thermal/cooling_device*"))
    states = [_text(one / "cur_state") for one in devices if (_text(one / "type") or "").startswith(_COOLING)]
    known = [int(state) for state in states if state is not None and state.isascii() and state.isdigit()]
    return any(known) if known else None


def _thousandths(path: Path) -> float | None:
    try:
        return int(_text(path) or "") / 1000
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """None for what is not there or cannot be read; sensors fail with errors of their own."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
