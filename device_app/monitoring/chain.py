"""Whether the log is whole, looked at by the box itself: nobody opens the log's page just to find out."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Flask

from device_app.audit import Anchor, Written, faults
from device_app.store.log import AuditLog

_EXTENSION = "ulna-chain"
_AT_ONCE = 100
_PAUSE_S = 0.005


class ChainWatch:
    """What was found since the program was started.

    The end of the log at one look is the anchor of the next, so that a log that was cut off in between shows
    too. What was found once stays found: the next look would begin with the end that is left.
    """

    def __init__(self) -> None:
        self.changed = False
        self._anchors: tuple[Anchor, ...] = ()

    def look(self, log: AuditLog) -> None:
        """Go through the whole chain, which may take half a minute of a large one. Raises StoreError."""
        end = log.anchor()  # before the look: what is written meanwhile belongs to the next
        self.changed = self.changed or bool(faults(_gently(log.written()), self._anchors))
        self._anchors = (end,)


def _gently(written: Iterator[Written]) -> Iterator[Written]:
    """With pauses: pages that somebody waits for come first."""
    for number, one in enumerate(written):
        if number % _AT_ONCE == 0:
            time.sleep(_PAUSE_S)
        yield one


def chain_of(app: Flask) -> ChainWatch:
    """The one of an application."""
    found = app.extensions.setdefault(_EXTENSION, ChainWatch())
    assert isinstance(found, ChainWatch)
    return found
