"""Which removable media are mounted, by the kernel: /proc/self/mountinfo (proc(5)) and /sys/dev/block.

A stick that is mounted is somebody else's work (udisks, a rule of the box); the kiosk mounts nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")
_FIELDS_BEFORE_OPTIONAL = 6


@dataclass(frozen=True)
class Mount:
    """number: that the kernel gave it, never the same for two at a time. device: "major:minor"."""

    number: int
    device: str
    point: Path


def parse(mountinfo: str) -> list[Mount]:
    """Every mount; lines that make no sense are passed over."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) >= _FIELDS_BEFORE_OPTIONAL and fields[0].isdecimal():
            found.append(Mount(int(fields[0]), fields[2], Path(_plain(fields[4]))))
    return found


def _plain(text: str) -> str:
    """Spaces, tabs, newlines and backslashes are written as three octal digits."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def removable_mounts(media: tuple[Path, ...], mountinfo: Path, devices: Path) -> list[Mount]:
    """Of removable media, mounted below one of the folders `media`; none where the kernel does not say.

    devices: /sys/dev/block, or a folder like it.
    """
    try:
        text = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    below = [mount for mount in parse(text) if any(root in mount.point.parents for root in media)]
    return [mount for mount in below if _is_removable(devices, mount.device)]


def _is_removable(devices: Path, device: str) -> bool:
    """A partition asks its disk. Disks and readers on USB say that they are fixed; their path tells."""
    if not re.fullmatch(r"\d+:\d+", device):
        return False
    try:
        real = (devices / device).resolve(strict=True)
        disk = real.parent if (real / "partition").exists() else real
        return (disk / "removable").read_text().strip() == "1" or any(
            part.startswith("usb") for part in real.parts
        )
    except OSError:
        return False
