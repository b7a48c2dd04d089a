"""Stored pictures that are not on the disk, looked for by the box itself: nobody opens every old examination.

A folder of pictures that is empty because its disk is not connected looks like one that nothing was ever in.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Flask

from device_app.store import Store

_EXTENSION = "ulna-missing"
_log = logging.getLogger("ulna.missing")


@dataclass(frozen=True)
class Missing:
    """pictures: with a row and without a file. expected: all that have to be on the disk."""

    pictures: int = 0
    expected: int = 0

    @property
    def is_all(self) -> bool:
        """Whether not one is there."""
        return 0 < self.expected == self.pictures


class MissingWatch:
    """What the last look has found."""

    def __init__(self) -> None:
        self.found = Missing()

    def look(self, store: Store) -> None:
        """List what is there; no file is opened. Raises StoreError."""
        known = store.records.known_digests()  # first: bytes are stored before their row is
        found = Missing(len(known - store.files.here()), len(known))
        if found.pictures and found != self.found:
            _log.error("%d of %d stored pictures are not on the disk", found.pictures, found.expected)
        self.found = found

    def look_again(self, store: Store) -> None:
        """Where some were missing: somebody may have put them back by now. Raises StoreError."""
        if self.found.pictures:
            self.look(store)


def missing_of(app: Flask) -> MissingWatch:
    """The one of an application."""
    watch = app.extensions.setdefault(_EXTENSION, MissingWatch())
    assert isinstance(watch, MissingWatch)
    return watch
