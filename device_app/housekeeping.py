"""What the kiosk does by itself in the background: a copy of its database every day."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from flask import Flask

from device_app.config import KioskConfig
from device_app.store import DATABASE_NAME, Store
from device_app.store.copies import EVERY, is_due, make_copy
from device_app.store.database import now_utc
from runtime.errors import StoreError

_log = logging.getLogger("ulna.housekeeping")
_LOOK_EVERY_S = 600.0
_FIRST_AFTER_S = 60.0
"""The start belongs to the screens and to the self-test."""


class Housekeeping:
    """A thread of its own between `with` and its end."""

    def __init__(self, config: KioskConfig, store: Store, app: Flask) -> None:
        self._config, self._store, self._app = config, store, app
        self._stopping = threading.Event()
        self._copied_s = float("-inf")
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
            try:
                self._look()
            except Exception:  # it must not end, and takes nothing with it
                _log.exception("the housekeeping failed")

    def _look(self) -> None:
        if time.monotonic() - self._copied_s >= EVERY.total_seconds():
            self._copy()

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
