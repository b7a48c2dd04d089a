"""How long the disk will last, and which pictures' time is over: looked at now and then, shown always."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

from flask import Flask

from device_app import retention
from device_app.access.gate import Access
from device_app.retention import Removable
from device_app.store import Store
from device_app.store.database import now_utc
from device_app.store.removal import Removal
from runtime.errors import StoreError

_EVERY_S = 300.0
_SCARCE = 4
"""Times what is kept free: from there on it is scarce even where nothing tells how fast it goes."""


@dataclass(frozen=True)
class Outlook:
    """days_left: until intake closes for want of space, as pictures came lately; None for not known.

    is_scarce: somebody should do something about it. due: what the clinic's rule would remove now.
    """

    days_left: float | None = None
    is_scarce: bool = False
    due: Removable = field(default_factory=Removable)

    @property
    def whole_days(self) -> int:
        """As it is said."""
        return int(self.days_left or 0)


class OutlookKeeper:
    """The outlook of one kiosk; asked of the disk and the database every few minutes only."""

    def __init__(self, store: Store, reserve_bytes: int) -> None:
        self._store, self._reserve_bytes = store, reserve_bytes
        self._lock = threading.Lock()
        self._seen_s, self._keep_days, self._is_looking = 0.0, -1, False
        self._found = Outlook()

    def now(self, keep_days: int) -> Outlook:
        """As it was at the last look; nothing is foretold where the database cannot be asked.

        A page waits for the first look under a rule, never for a later one, which takes a second or two after
        years of pictures.
        """
        with self._lock:
            if keep_days != self._keep_days:
                self._found = self._look(keep_days)
                self._keep_days, self._seen_s = keep_days, time.monotonic()
            elif time.monotonic() - self._seen_s >= _EVERY_S and not self._is_looking:
                self._is_looking = True
                try:
                    threading.Thread(target=self._renew, args=(keep_days,), daemon=True).start()
                except RuntimeError:  # no further thread now: the next page asks again
                    self._is_looking = False
            return self._found

    def _renew(self, keep_days: int) -> None:
        found = Outlook()
        try:
            found = self._look(keep_days)
        finally:
            with self._lock:
                self._seen_s, self._is_looking = time.monotonic(), False
                if keep_days == self._keep_days:
                    self._found = found

    def _look(self, keep_days: int) -> Outlook:
        try:
            return outlook(self._store, self._reserve_bytes, keep_days)
        except StoreError:
            return Outlook()


def outlook(store: Store, reserve_bytes: int, keep_days: int) -> Outlook:
    """Asked now. Raises StoreError."""
    now = now_utc()
    taken_bytes, first = Removal(store.database, store.files).taken_since(now - retention.RECENT)
    over = retention.RECENT if first is None else min(retention.RECENT, max(now - first, timedelta(days=1)))
    room_bytes = store.records.free_bytes() - reserve_bytes
    left = retention.days_left(room_bytes, taken_bytes, over)
    soon = left is not None and left < retention.WARN_DAYS
    is_scarce = soon or room_bytes < (_SCARCE - 1) * reserve_bytes
    return Outlook(left, is_scarce, due(store, keep_days))


def due(store: Store, keep_days: int) -> Removable:
    """What the next look would remove, by the clock as it was last seen. Raises StoreError."""
    if keep_days == 0:
        return Removable()
    removal, now = Removal(store.database, store.files), now_utc()
    return removal.due(keep_days, retention.look_at(removal.clock(), now, timedelta(0)), now)


def install_outlook(app: Flask, store: Store, reserve_bytes: int) -> None:
    """Give every page the outlook."""
    keeper = OutlookKeeper(store, reserve_bytes)

    @app.context_processor
    def shown() -> dict[str, object]:
        return {"outlook": keeper.now(keep_days_of(app))}


def keep_days_of(app: Flask) -> int:
    """The site's decision; for ever where it cannot be read."""
    found = app.extensions["ulna-access"]
    assert isinstance(found, Access)
    try:
        return found.settings.now().keep_days
    except StoreError:
        return 0
