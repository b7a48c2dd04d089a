"""A watched folder that is looked at until it is killed: kill -9 of this very process at its n-th step."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine.default import DefaultDialect

from device_app import KioskConfig
from device_app.intake.door import Door
from device_app.intake.folder import WatchFolder
from device_app.intake.sources import Sources
from device_app.store import open_store, prepare_store
from tests.device_app.intake.conftest import PACE
from tests.device_app.store.crash_child import Killer, note

INBOX = "inbox"
PICTURES = {f"{number}.png": b"\x89PNG\r\n\x1a\n" + b"picture %d " % number * 1000 for number in range(3)}
REFUSED = {"letter.pdf": b"%PDF-1.7 of somebody"}


def run(folder: str, kill_at: int) -> None:
    """Look into the folder, killed before or after one of the steps that leave a trace."""
    killer = Killer(kill_at)
    for name in ("fsync", "rename", "mkdir"):
        setattr(os, name, killer.around(getattr(os, name)))
    for name in ("replace", "unlink", "open"):
        setattr(Path, name, killer.around(getattr(Path, name)))
    DefaultDialect.do_commit = killer.around(DefaultDialect.do_commit)  # type: ignore[method-assign]
    use_folder(Path(folder))
    note(Path(folder), f"steps {killer.steps}")


def use_folder(folder: Path) -> None:
    """Start up, and look as often as it takes."""
    config = KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)
    prepare_store(config)
    store = open_store(config)
    watch = WatchFolder(folder / INBOX, Door(store.records, lambda: None), Sources(), PACE)
    for _ in range(3):
        watch.once()
    store.close()
