"""Pictures being taken in again until it is killed: kill -9 of this very process at its n-th step."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine.default import DefaultDialect

from device_app import KioskConfig
from device_app.store import open_store
from device_app.store.aside import Bounds, take_in
from tests.device_app.store.crash_child import Killer, note


def config_of(folder: Path) -> KioskConfig:
    return KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)


def run(folder: str, kill_at: int) -> None:
    """Take in what lies aside in `folder`/data; how many steps that took goes to `confirmed`."""
    killer = Killer(kill_at)
    os.fsync = killer.around(os.fsync)
    for name in ("replace", "rename", "unlink", "open", "mkdir"):
        setattr(Path, name, killer.around(getattr(Path, name)))
    for name in ("do_commit", "do_execute"):
        setattr(DefaultDialect, name, killer.around(getattr(DefaultDialect, name)))
    store = open_store(config_of(Path(folder)))
    take_in(store, "box", Bounds.of(500))
    store.close()
    note(Path(folder), f"steps {killer.steps}")
