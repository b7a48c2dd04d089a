"""A receiver that stores until its kiosk is killed: kill -9 of this very process at its n-th durable step."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine.default import DefaultDialect

from device_app import KioskConfig
from device_app.config import DicomOptions
from device_app.intake.dicom import DicomReceiver
from device_app.intake.door import Door
from device_app.intake.sources import Sources
from device_app.store import open_store, prepare_store
from tests.device_app.conftest import wait_until
from tests.device_app.intake.conftest import PACE
from tests.device_app.store.crash_child import Killer, note

LISTENS, ENOUGH = "listens", "enough"


def run(folder: str, kill_at: int) -> None:
    """Receive, killed before or after one of the steps that leave a trace of a picture."""
    root = Path(folder)
    config = KioskConfig(root / "bundle", root / "data", reserve_bytes=0)
    prepare_store(config)
    store = open_store(config)
    killer = Killer(kill_at)
    os.fsync = killer.around(os.fsync)
    for name in ("replace", "unlink"):
        setattr(Path, name, killer.around(getattr(Path, name)))
    DefaultDialect.do_commit = killer.around(DefaultDialect.do_commit)  # type: ignore[method-assign]
    door = Door(store.records, lambda: None)
    receiver = DicomReceiver(DicomOptions(0, host="127.0.0.1"), 1 << 20, door, Sources(), PACE)
    receiver.start()
    wait_until(lambda: receiver.pid)
    (root / f"{LISTENS}.part").write_text(f"{receiver.port} {receiver.pid}")
    (root / f"{LISTENS}.part").rename(root / LISTENS)
    wait_until((root / ENOUGH).exists)
    receiver.stop()
    note(root, f"steps {killer.steps}")
