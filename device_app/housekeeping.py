"""What the kiosk does by itself in the background: removal by the site's rule, copies of its database, a look
through its log, and one for pictures that are lost. Whatever was erased since the last look is gone from the
disk after it.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from flask import Flask

from device_app.monitoring.chain import chain_of
from device_app.monitoring.missing import missing_of
from device_app.outlook import keep_days_of
from device_app.retention import look_at
from device_app.store import DATABASE_NAME
from device_app.store.copies import EVERY, is_due, make_copy
from device_app.store.database import now_utc
from device_app.store.log import BOX, Action
from device_app.store.removal import Removal
from device_app.web import kiosk_of
from runtime.errors import StoreError

_log = logging.getLogger("ulna.housekeeping")
_LOOK_EVERY_S = 600.0
_CHECK_EVERY_S = 86_400.0
_FIRST_AFTER_S = 60.0
"""The start belongs to the screens and to the self-test."""


class Housekeeping:
    """A thread of its own between `with` and its end."""

    def __init__(self, app: Flask) -> None:
        self._config, self._store, self._app = kiosk_of(app).config, kiosk_of(app).store, app
        self._removal = Removal(self._store.database, self._store.files, self._store.records.adopting)
        self._stopping = threading.Event()
        self._copied_s, self._checked_s, self._looked_s = float("-inf"), float("-inf"), time.monotonic()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()

    def _run(self) -> None:
        pause_s = _FIRST_AFTER_S
        while not self._stopping.wait(pause_s):
            pause_s = _LOOK_EVERY_S
            for work in (self._look, self._removal.fold):  # the second also where the first has failed
                try:
                    work()
                except Exception:  # it must not end, and takes nothing with it
                    _log.exception("the housekeeping failed")

    def _look(self) -> None:
        self._remove()
        if time.monotonic() - self._copied_s >= EVERY.total_seconds():
            self._copy()
        if time.monotonic() - self._checked_s >= _CHECK_EVERY_S:
            self._removal.erase_left()
            self._removal.forget_left()
            chain_of(self._app).look(self._store.database)
            self._checked_s = time.monotonic()
            missing_of(self._app).look(self._store)
        else:
            chain_of(self._app).keep(self._store.database)
            missing_of(self._app).look_again(self._store)

    def _remove(self) -> None:
        """The clock is looked at whatever the rule: a rule that is made later finds one that is known."""
        store, removal, now = self._store, self._removal, now_utc()
        ran, self._looked_s = time.monotonic() - self._looked_s, time.monotonic()
        clock = look_at(removal.clock(), now, timedelta(seconds=ran))
        removal.keep_clock(clock)
        keep_days = keep_days_of(self._app)
        if keep_days == 0:
            return
        found = removal.due(keep_days, clock, now)
        if found.image_ids:
            gone = removal.remove(found.image_ids, now)
            _log.info("%d pictures were removed because their time was over", gone)
        if clock.is_trusted and (swept := store.files.sweep_aside(now, keep_days)):
            store.log.note(BOX, Action.REMOVED, pictures=swept)

    def _copy(self) -> None:
        database = self._config.data_dir / DATABASE_NAME
        if not is_due(self._config.data_dir, now_utc()):
            return
        try:
            make_copy(database, now_utc(), self._config.reserve_bytes)
        except StoreError as error:
            _log.error("no copy of the database was made: %s", error)
            return
        self._copied_s = time.monotonic()  # a clock that was set back must not make one at every look
