"""Wrong PINs and codes that were given to a box in safe mode, counted as at the sign-in.

They are kept in a file beside the data, since the database cannot be used: a box that is started again must
not begin to count anew. Where nothing can be written they are counted as long as this process lives.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from device_app.access.lockout import Tally
from device_app.access.tries import Place, read_tally, written_tally
from device_app.store.database import now_utc
from runtime.durable import replace_file, sync_folder

_log = logging.getLogger("ulna.safe_mode")
_NAME = "safe-mode-tries"
_MOST_BYTES = 1 << 16
"""Of a file with a line for everybody who may mend: a larger one is none of ours."""


class Tries:
    """Those of one data folder. who: a person's public id, or a word for whoever has none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._since: dict[str, Tally] = {}

    def wait(self, who: str, place: Place) -> timedelta:
        """How long no proof of theirs from there is looked at."""
        found = self._of(who, place)
        settled = found.settled(now_utc())
        if settled != found:
            self._keep(who, place, settled)
        return settled.wait(now_utc())

    def failed(self, who: str, place: Place) -> timedelta:
        """After another wrong one; how long to wait now."""
        tally = self._of(who, place).failed(now_utc())
        self._keep(who, place, tally)
        return tally.wait(now_utc())

    def fitted(self, who: str, place: Place) -> None:
        """Begin anew after a right one."""
        if self._of(who, place) != Tally():
            self._keep(who, place, Tally())

    def _of(self, who: str, place: Place) -> Tally:
        return self._all().get(_key(who, place), Tally())

    def _all(self) -> dict[str, Tally]:
        """What this process has counted counts: it may be that it could not be written."""
        return _read(self._path) | self._since

    def _keep(self, who: str, place: Place, tally: Tally) -> None:
        self._since[_key(who, place)] = tally
        said = {key: written_tally(one) for key, one in self._all().items() if one != Tally()}
        try:
            _write(self._path, json.dumps(said, sort_keys=True))
        except OSError as error:
            _log.warning("wrong tries are counted until the next start only: %s", error.strerror)


def _key(who: str, place: Place) -> str:
    return f"{place} {who}"


def _read(path: Path) -> dict[str, Tally]:
    """None where there is no such file, or it cannot be understood: nobody is kept out by that."""
    try:
        with path.open("rb") as file:
            found: Any = json.loads(file.read(_MOST_BYTES))
        return {key: read_tally(one) for key, one in found.items()}
    except (AttributeError, OSError, RecursionError, ValueError):
        return {}


def _write(path: Path, text: str) -> None:
    """Never makes the folder: where its disk is not mounted, it would lie on another one."""
    path.parent.stat()
    replace_file(path, text.encode(), 0o600)
    sync_folder(path.parent)
