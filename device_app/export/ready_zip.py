"""The zip that waits to be fetched: only while every picture in it may still leave, and for a day at most."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from device_app.store.consent import Consents

LONGEST_S = 24 * 3600.0


class Gone(StrEnum):
    """Why the box removed a zip by itself; screens translate these."""

    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Ready:
    """path: of the zip. export: by which the log knows it. image_ids: what it holds.

    until_s: when it goes, of a clock that nobody can set.
    """

    path: Path
    export: str
    image_ids: Sequence[int]
    until_s: float


class ReadyZip:
    """Of one kiosk; for any thread. gone: why the last one was removed without anybody asking for it."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents
        self._lock = threading.RLock()
        self._ready: Ready | None = None
        self.gone: Gone | None = None

    def keep(self, path: Path, export: str, image_ids: Sequence[int]) -> Ready:
        """It has been written."""
        with self._lock:
            self.remove()
            self._ready = Ready(path, export, tuple(image_ids), time.monotonic() + LONGEST_S)
            return self._ready

    def get(self) -> Ready | None:
        """What may be fetched; what may not, or not any more, is removed. Raises StoreError."""
        with self._lock:
            if self._ready is None or not self._ready.path.is_file():
                return None
            why = self._why_not(self._ready)
            if why is not None:
                self.remove()
                self.gone = why
            return self._ready

    def remove(self) -> None:
        """It is not kept on the box longer than it must be; what cannot be removed is not fetched either."""
        with self._lock:
            ready, self._ready, self.gone = self._ready, None, None
            if ready is not None:
                with contextlib.suppress(OSError):
                    ready.path.unlink(missing_ok=True)

    def _why_not(self, ready: Ready) -> Gone | None:
        if time.monotonic() >= ready.until_s:
            return Gone.EXPIRED
        return None if set(ready.image_ids) <= set(self._consents.image_ids()) else Gone.WITHDRAWN
