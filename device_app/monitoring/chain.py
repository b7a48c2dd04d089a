"""Whether the log is whole, looked at by the box itself: nobody opens the log's page just to find out."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Flask

from device_app.audit import Anchor, Written
from device_app.store.database import Database
from device_app.store.log import AuditLog
from device_app.store.log_end import keep_end, look_through

_EXTENSION = "ulna-chain"
_AT_ONCE = 100
_PAUSE_S = 0.005


class ChainWatch:
    """What was found since the program was started.

    The known end of the log (store.log_end) is moved forward at every look, so that a log that was cut off in
    between shows at the next, also when the box was off. What was found once stays found.
    """

    def __init__(self) -> None:
        self.changed = False
        self._anchors: tuple[Anchor, ...] = ()

    def look(self, database: Database) -> None:
        """Go through the whole chain, which may take half a minute of a large one. Raises StoreError."""
        end = AuditLog(database).anchor()  # before the look: what is written meanwhile belongs to the next
        self.changed = bool(look_through(database, self._anchors, _gently)) or self.changed
        self._anchors = (end,)  # the file may be gone by then
        self.keep(database)

    def keep(self, database: Database) -> None:
        """Only look whether the end is still there; takes no time. Raises StoreError."""
        self.changed = not keep_end(database) or self.changed


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
