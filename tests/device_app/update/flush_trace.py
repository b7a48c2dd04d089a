"""Install once and write down the inodes that were flushed before `live` was switched."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from device_app.update.box import Box
from device_app.update.installer import install

flushed: list[int] = []
at_switch: list[int] = []
real_fsync, real_switch = os.fsync, Box.switch_live


def fsync(handle: int) -> None:
    """Note what is flushed."""
    flushed.append(os.fstat(handle).st_ino)
    real_fsync(handle)


def switch_live(self: Box, name: str) -> Any:
    """Note what had been flushed by then."""
    at_switch.extend(flushed)
    return real_switch(self, name)


os.fsync = fsync
Box.switch_live = switch_live  # type: ignore[method-assign]
install(Path(sys.argv[1]), Path(sys.argv[2]))
Path(sys.argv[3]).write_text(json.dumps(at_switch))
