"""The watched folder: what an X-ray system, a scanner or a person puts there is taken in.

A file has this life; whatever ends the kiosk between two steps, the next one goes on from the same place:

    seen, unchanged for a while -> handed to the store -> stored for good -> moved to `taken`
                                           |-> refused                  -> moved to `refused`, with a note
                                           `-> no room, queue full      -> stays, and is tried again later

A file that was stored and not yet moved is handed over once more and known by its bytes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from device_app.config import IntakePace
from device_app.intake.door import Door, Fate, Outcome, SourceFailedError, refusal_of
from device_app.intake.kinds import HEAD_BYTES
from device_app.intake.shelf import REFUSED, SHELVES, TAKEN, put_away
from device_app.intake.sources import SourceKind, Sources, Trouble
from device_app.intake.steady import Found, Steady
from device_app.intake.tree import Rules, Seen, TreeLimits, look, open_found
from device_app.store.log import BOX
from device_app.store.records import Upload
from runtime.errors import InputError

_log = logging.getLogger(__name__)
_KIND = SourceKind.FOLDER
_JOIN_S = 5.0
_STORE_TRIES = 3
"""Files that the store cannot take for a reason of theirs hold up no others; many of them are the store's."""
_SWEEP_AFTER_S = 24 * 3600.0
"""A folder that has been empty so long is nobody's any more."""
_NOTE = """This file was not taken in by the X-ray kiosk. Nothing of it was stored.
Why: {reason}.
What to do: {hint}
"""


def check_folder(root: Path, data_dir: Path) -> None:
    """Raises InputError for a folder from which the kiosk would take in what it keeps itself."""
    watched, kept = root.resolve(), data_dir.resolve()
    if watched.is_relative_to(kept) or kept.is_relative_to(watched):
        raise InputError(
            f"the watched folder {root} and the data folder {data_dir} lie in each other",
            "choose another --watch",
        )


class WatchFolder:
    """Looks into one folder on a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        root: Path,
        door: Door,
        sources: Sources,
        pace: IntakePace,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._door, self._sources, self._pace, self._clock_s = root, door, sources, pace, clock_s
        self.limits = TreeLimits()
        self._steady = Steady(math.ceil(pace.settled_s / pace.look_every_s) + 1)
        self._settled: dict[Found, Outcome] = {}
        self._rests_until_s: dict[Found, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-folder", daemon=True)
        sources.open(_KIND, str(root), Trouble.STARTING)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the file in hand; a share that does not answer is not waited for."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def once(self) -> bool:
        """One look, and all that may be taken now; False when something is in the way of every file."""
        try:
            with self._sources.busy(_KIND):
                seen = look(self._root, Rules(beside=SHELVES, sweep_after_s=_SWEEP_AFTER_S), self.limits)
        except OSError as error:
            self._sources.note(_KIND, Trouble.AWAY, error.strerror or "")
            return False
        self._forget_all_but(frozenset(seen.files))
        not_stored = 0
        for found in self._steady.next(seen.files):
            if self._stopping.is_set():
                return True
            if self._clock_s() < self._rests_until_s.get(found, 0.0):
                continue
            with self._sources.busy(_KIND):
                outcome = self._settled.get(found) or self._hand_over(found)
                if outcome is None:
                    continue
                if outcome.fate is Fate.LATER:
                    not_stored += 1
                    self._sources.note(_KIND, outcome.trouble)
                    if outcome.trouble is not Trouble.STORE or not_stored >= _STORE_TRIES:
                        return False
                    self._rests_until_s[found] = self._clock_s() + self._pace.first_pause_s
                    continue
                self._let_go(found, outcome)
        if not not_stored:
            self._note_rest(seen)
        return True

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            if self._once_and_say():
                pause_s = self._pace.look_every_s
            else:
                pause_s = min(max(2 * pause_s, self._pace.first_pause_s), self._pace.longest_pause_s)

    def _once_and_say(self) -> bool:
        try:
            return self.once()
        except Exception as error:  # this thread must outlive whatever happens, and say so
            # Not its words: they may hold the name of a file, and that may be a patient's.
            _log.error("the watched folder: unexpected %s", type(error).__name__)
            self._sources.note(_KIND, Trouble.FAILED, type(error).__name__)
            return False

    def _hand_over(self, found: Found) -> Outcome | None:
        """None for what is no picture yet: its writer may have made it before it writes its beginning."""
        try:
            with open_found(self._root, found) as stream:
                upload = Upload(found.name, source=str(_KIND), actor=BOX)
                refusal = refusal_of(stream.head(HEAD_BYTES))
                if (
                    refusal
                    and self._steady.looks_at(found) <= self._pace.refuse_after_s / self._pace.look_every_s
                ):
                    return None
                outcome = refusal or self._door.take(stream, upload)
        except SourceFailedError as error:
            return Outcome(Fate.BROKEN, str(error))
        if outcome.fate in (Fate.TAKEN, Fate.KNOWN, Fate.REFUSED):
            self._sources.count(_KIND, str(outcome.fate))
            self._settled[found] = outcome
        return outcome

    def _let_go(self, found: Found, outcome: Outcome) -> None:
        """Put away what was dealt with; what cannot be moved or read rests, not to be tried all the time."""
        try:
            if outcome.fate is not Fate.BROKEN:
                note = "" if outcome.fate.stored else _NOTE.format(reason=outcome.reason, hint=outcome.hint)
                put_away(self._root, found, TAKEN if outcome.fate.stored else REFUSED, note)
                self._settled.pop(found, None)
                self._rests_until_s.pop(found, None)
                return
        except FileNotFoundError:
            return  # somebody took it away in the meantime
        except OSError as error:
            _log.warning("the watched folder: a file cannot be moved: %s", error.strerror)
        self._rests_until_s[found] = self._clock_s() + self._pace.longest_pause_s

    def _forget_all_but(self, present: frozenset[Found]) -> None:
        self._settled = {found: what for found, what in self._settled.items() if found in present}
        self._rests_until_s = {one: until for one, until in self._rests_until_s.items() if one in present}

    def _note_rest(self, seen: Seen) -> None:
        stuck = sum(found in self._settled for found in self._rests_until_s)
        unreadable = len(self._rests_until_s) - stuck + seen.unreadable
        if stuck:
            self._sources.note(_KIND, Trouble.STUCK, str(stuck))
        elif unreadable:
            self._sources.note(_KIND, Trouble.UNREADABLE, str(unreadable))
        else:
            self._sources.note(_KIND, Trouble.NONE if seen.complete else Trouble.TOO_MANY)
