"""A mending that is killed: kill -9 of this very process at its n-th durable step."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine.default import DefaultDialect

from device_app.mend import mend
from tests.device_app.store.crash_child import Killer, note


def run(folder: str, kill_at: int) -> None:
    """Mend `folder`/data; how many steps that took goes to `confirmed`."""
    killer = Killer(kill_at)
    os.fsync = killer.around(os.fsync)
    for name in ("replace", "rename", "unlink", "mkdir", "hardlink_to"):
        setattr(Path, name, killer.around(getattr(Path, name)))
    DefaultDialect.do_commit = killer.around(DefaultDialect.do_commit)  # type: ignore[method-assign]
    mend(Path(folder) / "data", "box")
    note(Path(folder), f"steps {killer.steps}")
