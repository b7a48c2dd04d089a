"""The chain: every entry holds the digest of the one before it. Pure.

An entry that was changed no longer fits its own digest, one that was taken out leaves a gap. Whoever can
write the whole chain can make a sound one, or leave out its end; that is seen by an anchor, number and digest
of an entry that was written down elsewhere before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.errors import InputError

_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)
START = "0" * 64
"""What stands before the first entry."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened; it names no patient.

    number: from 1, without gaps. at_utc: ISO 8601, without a zone. actor: "kiosk" for whoever stands before
    a box that asks nobody, "box" for its own programs, else a person's public id. subject: a public id or "".
    """

    number: int
    at_utc: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_sha256: str

    @property
    def sha256(self) -> str:
        """Of the entry as JSON with sorted keys, the digest before it included."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Anchor:
    """The end of the chain at some moment, to be kept where this box cannot write: on paper, on a stick."""

    number: int
    sha256: str

    def text(self) -> str:
        """One line: "17:ab12...", "0:000..." for a chain without entries."""
        return f"{self.number}:{self.sha256}"

    @classmethod
    def of_text(cls, text: str) -> Anchor:
        """Raises InputError for text that is none."""
        found = _ANCHOR.fullmatch(text.strip())
        if found is None:
            raise InputError(
                f"an anchor is a number, a colon and 64 hex digits, got {text.strip()[:80]!r}",
                "copy the line that the box gave when the log was exported",
            )
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Written:
    """An entry as it was found, with the digest that stands beside it."""

    entry: Entry
    sha256: str


def faults(chain: Iterable[Written], anchors: Sequence[Anchor] = ()) -> list[str]:
    """What is wrong with a chain, in words; empty for a sound one that holds every anchor."""
    found: list[str] = []
    expected_number, expected_digest = 1, START
    wanted = {anchor.number for anchor in anchors}
    digests: dict[int, str] = {0: START}
    for written in chain:
        entry = written.entry
        if entry.number != expected_number:
            found.append(f"entries {expected_number} to {entry.number - 1} are missing")
        elif entry.previous_sha256 != expected_digest:
            found.append(f"entry {entry.number} does not follow the one before it")
        if not fits(written):
            found.append(f"entry {entry.number} was changed")
        expected_number, expected_digest = entry.number + 1, written.sha256
        if entry.number in wanted:
            digests[entry.number] = written.sha256
    lost = [anchor for anchor in anchors if digests.get(anchor.number) != anchor.sha256]
    return found + [_missing(anchor, digests) for anchor in lost]


def fits(written: Written) -> bool:
    """Whether an entry is as it was written, whatever is missing around it."""
    return _digest(written.entry) == written.sha256


def _digest(entry: Entry) -> str:
    """ "" for an entry of which none can be made, as somebody may have left it."""
    try:
        return entry.sha256
    except (RecursionError, TypeError, ValueError):
        return ""


def _missing(anchor: Anchor, digests: dict[int, str]) -> str:
    if anchor.number in digests:
        return f"entry {anchor.number} is not the one that was written down"
    return f"entry {anchor.number} was written down and is gone: the end of the log was cut off"
