"""What the kiosk hands to the child that makes the PDF, and what comes back, over two pipes.

kiosk -> child   a line of JSON, then the files one after the other
child -> kiosk   a line with the place of the page that fitted, then the PDF

The child's exit code says why there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from runtime import strict
from runtime.errors import BundleFormatError


class Ending(IntEnum):
    """Exit codes of the child. 1 and negative ones are crashes and limits."""

    DONE = 0
    NO_PROGRAM = 3
    NO_FONT = 4
    TOO_LONG = 5
    INCOMPLETE = 6


@dataclass(frozen=True)
class Job:
    """pages: the same page as HTML, each with less room for what gives way than the one before; the first
    that fits is taken. files: address (a path on this kiosk) to bytes: style sheet and pictures.
    sample: letters that a font must have. memory_bytes, cpu_s: beyond which the child is ended.
    """

    pages: tuple[str, ...]
    files: Mapping[str, bytes]
    sample: str = ""
    memory_bytes: int = 0
    cpu_s: int = 0


@dataclass(frozen=True)
class Made:
    """A PDF, and the place in the job's pages of the one that it shows."""

    pdf: bytes
    place: int

    def to_bytes(self) -> bytes:
        """As it goes over the pipe."""
        return b"%d\n%s" % (self.place, self.pdf)

    @classmethod
    def of_bytes(cls, data: bytes) -> Made:
        """The same back. Raises ValueError for anything that is no whole PDF."""
        place, _, pdf = data.partition(b"\n")
        if not pdf.startswith(b"%PDF-") or not pdf.rstrip().endswith(b"%%EOF"):
            raise ValueError("this is no PDF")
        return cls(pdf, int(place))


def pack(job: Job) -> bytes:
    """As it goes over the pipe."""
    head = {
        "pages": list(job.pages),
        "lengths": {address: len(data) for address, data in job.files.items()},
        "sample": job.sample,
        "memory_bytes": job.memory_bytes,
        "cpu_s": job.cpu_s,
    }
    return json.dumps(head).encode() + b"\n" + b"".join(job.files.values())


def unpack(data: bytes) -> Job:
    """The same back. Raises ValueError for what is not whole."""
    line, _, rest = data.partition(b"\n")
    try:
        head = strict.loads(line, "job")
        files, at = {}, 0
        for address, length in head["lengths"].items():
            files[str(address)] = rest[at : at + int(length)]
            at += int(length)
        whole = Job(tuple(head["pages"]), files, head["sample"], head["memory_bytes"], head["cpu_s"])
    except (BundleFormatError, KeyError, TypeError) as error:
        raise ValueError(f"this is no job: {error}") from error
    if at != len(rest):
        raise ValueError(f"the files have {at} bytes together, got {len(rest)}")
    return whole
