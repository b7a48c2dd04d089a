"""Which files have stopped changing. Pure: what each look saw comes in, what may be taken goes out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

_LEAST_LOOKS = 2
_LOOKS_EMPTY = 30
"""A program that has made a file and writes nothing yet is given more time: it is slow, not done."""
_PARTIAL_ENDINGS = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp")
_SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "dicomdir", "autorun.inf", "lost+found", "lost.dir",
                 "system volume information", "recycler")  # fmt: skip


@dataclass(frozen=True)
class Signature:
    """What of a file changes when it is written or replaced. No inode: FAT makes one up at each look."""

    device: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Signature:
        """From stat."""
        return cls(facts.st_dev, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


@dataclass(frozen=True)
class Found:
    """A regular file below a folder. parts: names on the way to it, its own last."""

    parts: tuple[str, ...]
    signature: Signature

    @property
    def name(self) -> str:
        """Its own."""
        return self.parts[-1]


class Steady:
    """Remembers the files of the look before. looks: how many must find a file unchanged, at least two."""

    def __init__(self, looks: int = _LEAST_LOOKS) -> None:
        self._looks = max(_LEAST_LOOKS, looks)
        self._seen: dict[tuple[str, ...], tuple[Signature, int]] = {}

    def next(self, found: Iterable[Found]) -> list[Found]:
        """The files that did not change over enough looks, oldest first; what is gone is forgotten."""
        seen: dict[tuple[str, ...], tuple[Signature, int]] = {}
        ready = []
        for file in found:
            before, looks = self._seen.get(file.parts, (None, 0))
            looks = looks + 1 if before == file.signature else 1
            seen[file.parts] = file.signature, looks
            if looks >= (self._looks if file.signature.size_bytes else _LOOKS_EMPTY):
                ready.append(file)
        self._seen = seen
        return sorted(ready, key=lambda file: (file.signature.modified_ns, file.parts))

    def looks_at(self, file: Found) -> int:
        """How many looks have found it as it is."""
        before, looks = self._seen.get(file.parts, (None, 0))
        return looks if before == file.signature else 0


def is_passed_over(name: str) -> bool:
    """Whether a name is hidden, of a file that another program is still making, or of an operating system."""
    lower = name.lower()
    return (
        name.startswith((".", "~$", "$"))
        or name.endswith("~")
        or lower.endswith(_PARTIAL_ENDINGS)
        or lower in _SYSTEM_NAMES
    )
