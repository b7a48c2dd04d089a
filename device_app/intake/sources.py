"""How each way for pictures to come in is at this moment, for the page of the box and for machines.

A source's own thread notes what it meets; screens read. No file's name is kept here: it may be a patient's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

_EXTENSION = "ulna-sources"
_STALLED_AFTER_S = 120.0


class SourceKind(StrEnum):
    """Ways in besides the upload screen; also what `Upload.source` says."""

    FOLDER = "folder"
    DICOM = "dicom"
    STICK = "stick"


class Trouble(StrEnum):
    """What keeps a source from handing over pictures; screens translate these."""

    NONE = ""
    STARTING = "starting"
    AWAY = "away"
    DISK_FULL = "disk_full"
    QUEUE_FULL = "queue_full"
    STORE = "store"
    UNREADABLE = "unreadable"
    STUCK = "stuck"
    TOO_MANY = "too_many"
    STALLED = "stalled"
    FAILED = "failed"


@dataclass(frozen=True)
class SourceState:
    """One source.

    place: where it looks or listens. detail: about the trouble, in a few plain words. taken, known, refused:
    pictures since the kiosk started; known ones were here before.
    """

    kind: SourceKind
    place: str
    trouble: Trouble = Trouble.NONE
    detail: str = ""
    taken: int = 0
    known: int = 0
    refused: int = 0


@dataclass
class _Entry:
    state: SourceState
    busy_since_s: float | None = field(default=None)


class Sources:
    """The states of all sources that are switched on; for any thread."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._entries: dict[SourceKind, _Entry] = {}

    def open(self, kind: SourceKind, place: str, trouble: Trouble = Trouble.NONE) -> None:
        """A source is switched on."""
        with self._lock:
            self._entries[kind] = _Entry(SourceState(kind, place, trouble))

    def note(self, kind: SourceKind, trouble: Trouble, detail: str = "") -> None:
        """What keeps it from working; Trouble.NONE when nothing does any more."""
        self._change(kind, trouble=trouble, detail=detail)

    def count(self, kind: SourceKind, what: str) -> None:
        """One picture more of "taken", "known" or "refused"."""
        with self._lock:
            entry = self._entries[kind]
            entry.state = replace(entry.state, **{what: getattr(entry.state, what) + 1})

    @contextmanager
    def busy(self, kind: SourceKind) -> Iterator[None]:
        """While it does what a dead network share may keep it in for ever."""
        self._entries[kind].busy_since_s = self._clock_s()
        try:
            yield
        finally:
            self._entries[kind].busy_since_s = None

    def all(self) -> tuple[SourceState, ...]:
        """In the order in which they were switched on."""
        with self._lock:
            return tuple(self._seen(entry) for entry in self._entries.values())

    def one(self, kind: SourceKind) -> SourceState | None:
        """None where that source is not switched on."""
        return next((state for state in self.all() if state.kind is kind), None)

    def _change(self, kind: SourceKind, **changes: Any) -> None:
        with self._lock:
            entry = self._entries[kind]
            entry.state = replace(entry.state, **changes)

    def _seen(self, entry: _Entry) -> SourceState:
        since_s = entry.busy_since_s
        if since_s is not None and self._clock_s() - since_s > _STALLED_AFTER_S:
            return replace(entry.state, trouble=Trouble.STALLED, detail="")
        return entry.state


def install_sources(app: Flask, sources: Sources) -> None:
    """Let an application's screens show them."""
    app.extensions[_EXTENSION] = sources


def sources_of(app: Flask) -> Sources:
    """Of an application; without any where none were installed."""
    found = app.extensions.get(_EXTENSION)
    return found if isinstance(found, Sources) else Sources()
