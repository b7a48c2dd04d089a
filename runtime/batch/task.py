"""One picture to be read, and the place by which a later run knows it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from runtime.errors import InputError

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Place:
    """Where a picture lies.

    file: the path as it was named. path: the same, absolute. member: its name inside an archive, "" for a
    file, and for what an archive as a whole has to say. occurrence: which of several members of one name,
    from 1. size_bytes, mtime_ns: of the file or the archive, 0 where the system does not say.
    """

    file: str
    path: str
    member: str = ""
    occurrence: int = 1
    size_bytes: int = 0
    mtime_ns: int = 0

    @property
    def key(self) -> bytes:
        """The place alone: a file that has changed keeps it."""
        return _digest(self.path, self.member, self.occurrence)

    @property
    def identity(self) -> bytes:
        """The place and the state of the file there."""
        return _digest(self.path, self.member, self.occurrence, self.size_bytes, self.mtime_ns)

    @property
    def order(self) -> tuple[str, str, int]:
        """By which tables are sorted."""
        return self.file, self.member, self.occurrence

    def to_json(self) -> dict[str, Any]:
        """The keys that open a line of findings.jsonl."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Task:
    """data: the bytes, None where the worker reads them from the place's path.

    error: why there are none; the worker turns it into an answer like any other.
    """

    place: Place
    data: bytes | None = None
    error: InputError | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """findings: as Findings.to_json gives them. picture: PNG bytes where the asker writes them."""

    place: Place
    findings: dict[str, Any]
    picture: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """A line of findings.jsonl."""
        digest = self.findings["provenance"]["image_sha256"]
        return {**self.place.to_json(), "sha256": digest, **self.findings}


def place_of(record: dict[str, Any]) -> Place:
    """Of a line of findings.jsonl. Raises KeyError, TypeError and ValueError for anything else."""
    texts = [_checked(record[name], str) for name in ("file", "path", "member")]
    numbers = [_checked(record[name], int) for name in ("occurrence", "size_bytes", "mtime_ns")]
    return Place(*texts, *numbers)


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _digest(*parts: str | int) -> bytes:
    # As JSON: it keeps the parts apart and takes the half characters of names that are no UTF-8.
    return hashlib.blake2b(json.dumps(parts).encode("ascii"), digest_size=_DIGEST_BYTES).digest()
