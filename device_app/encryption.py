"""Whether what the kiosk keeps lies on an encrypted disk, as far as the kernel tells: yes, no, or not told.

A folder's block device is followed down (/sys/dev/block/MAJOR:MINOR, `slaves`) to dm-crypt or to bare disks.
A disk that encrypts by itself, and a file system that does, are not told by the kernel: docs/encryption.md.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DEEPEST = 16
_CRYPT = "CRYPT-"


@dataclass(frozen=True)
class Kernel:
    """Where the kernel says what lies on what."""

    devices: Path = Path("/sys/dev/block")
    mountinfo: Path = Path("/proc/self/mountinfo")
    swaps: Path = Path("/proc/swaps")


@dataclass(frozen=True)
class Encryption:
    """Of the data folder, and of the swap that may hold what was in memory. None: cannot be told."""

    data: bool | None
    swap: bool | None


def encryption_of(folder: Path, kernel: Kernel = Kernel()) -> Encryption:
    """As it is now. Raises nothing."""
    return Encryption(is_encrypted(folder, kernel), is_swap_encrypted(kernel))


def is_encrypted(folder: Path, kernel: Kernel = Kernel()) -> bool | None:
    """Of a folder, or of the nearest one above it that is there."""
    place = next((path for path in (folder, *folder.parents) if path.exists()), None)
    try:
        return None if place is None else _of_number(_number(place.stat().st_dev, kernel), kernel)
    except OSError:
        return None


def is_swap_encrypted(kernel: Kernel = Kernel()) -> bool | None:
    """True where there is none, too, and where it lies in memory (zram)."""
    try:
        rows = [line.split() for line in kernel.swaps.read_text(encoding="utf-8").splitlines()[1:]]
        return _all([_of_swap(Path(row[0]), kernel) for row in rows if row])
    except (OSError, ValueError):
        return None


def device_of_mount(number: str, mountinfo: str) -> str:
    """The device that a file system without a number of its own (Btrfs) was mounted from, "" for none."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if len(fields) > 2 and fields[2] == number and len(source) > 1 and source[1].startswith("/dev/"):
            return source[1]
    return ""


def _of_swap(path: Path, kernel: Kernel) -> bool | None:
    if path.name.startswith("zram"):
        return True
    found = path.stat()
    number = found.st_rdev if stat.S_ISBLK(found.st_mode) else found.st_dev
    return _of_number(_number(number, kernel), kernel)


def _number(device: int, kernel: Kernel) -> str:
    """As the kernel writes it; of the device below, for a file system that has no block device's number."""
    number = f"{os.major(device)}:{os.minor(device)}"
    if os.major(device) != 0:
        return number
    source = device_of_mount(number, kernel.mountinfo.read_text(encoding="utf-8", errors="replace"))
    if not source:
        return number
    below = Path(source).stat().st_rdev
    return f"{os.major(below)}:{os.minor(below)}"


def _of_number(number: str, kernel: Kernel) -> bool | None:
    return _of_device(kernel.devices / number, _DEEPEST)


def _of_device(device: Path, deepest: int) -> bool | None:
    if deepest == 0 or not device.is_dir():
        return None
    if _text(device / "dm" / "uuid").startswith(_CRYPT):
        return True
    below = list(_below(device))
    if below:
        return _all([_of_device(one, deepest - 1) for one in below])
    # A file that is a disk lies on another one, which is not followed.
    return None if (device / "loop").is_dir() else False


def _below(device: Path) -> Iterator[Path]:
    """What a device is made of; of a partition, what its disk is made of."""
    if (device / "partition").exists():
        device = device.resolve().parent
    if (device / "slaves").is_dir():
        yield from sorted((device / "slaves").iterdir())


def _all(found: list[bool | None]) -> bool | None:
    """One part that is open makes the whole open."""
    if False in found:
        return False
    return None if None in found else True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
