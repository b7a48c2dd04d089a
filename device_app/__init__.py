"""The clinic kiosk; imports runtime only.

Importing this package needs no extra; making an app does (`pip install "ulna[kiosk]"`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import runtime as runtime  # before any engine: it shuts out what engines would report
from device_app.config import KioskConfig, WorkerLimits

if TYPE_CHECKING:
    from flask import Flask

    from device_app.status import Reader

__all__ = ["KioskConfig", "WorkerLimits", "create_app"]


def create_app(config: KioskConfig, reader: Reader | None = None) -> Flask:
    """The kiosk's screens on a prepared store (device_app.store.prepare_store).

    Without a `reader` pictures are stored and none is read; every screen says so.
    """
    from device_app.status import NoReader
    from device_app.web import build_app

    return build_app(config, reader or NoReader())
