"""USB sticks: which are plugged in, what lies on them, and the few files that a person chose.

Sticks are only read. Nothing that a browser sends is used as a path: it names a list that the box made, and
places in it; what is opened must still be what was listed.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_app.config import IntakePace, MediaOptions
from device_app.intake.door import Door, Fate, Outcome, SourceFailedError, refusal_of
from device_app.intake.kinds import HEAD_BYTES
from device_app.intake.mounts import Mount, removable_mounts
from device_app.intake.sources import SourceKind, Sources, Trouble
from device_app.intake.steady import Found, Signature
from device_app.intake.tree import Rules, Seen, TreeLimits, look, open_found
from device_app.store.records import MAX_NAME_CHARS, Upload, display_text

if TYPE_CHECKING:
    from flask import Flask

_log = logging.getLogger(__name__)
_KIND = SourceKind.STICK
_EXTENSION = "ulna-sticks"
_JOIN_S = 5.0
_LIMITS = TreeLimits(files=1000, entries=20_000, depth=6)
_ENDINGS = frozenset(
    {"dcm", "dic", "dicom", "ima", "img", "jpg", "jpeg", "png", "tif", "tiff", "bmp", "webp"}
)


@dataclass(frozen=True)
class StickFile:
    """One file as the screen shows it; `folder` is "" for the stick's own."""

    name: str
    folder: str
    size_bytes: int
    found: Found


@dataclass(frozen=True)
class Stick:
    """A stick that is plugged in, and its files. token: names this list, and nothing else ever.

    root: of its own folder, to tell it from another stick that the kernel gave the same numbers. complete:
    whether all of it was looked at.
    """

    token: str
    name: str
    mount: Mount
    root: Signature
    files: tuple[StickFile, ...]
    complete: bool


def may_be_picture(name: str) -> bool:
    """By its name alone. DICOM files often have none of these endings, or a number for one."""
    _, dot, ending = name.rpartition(".")
    return not dot or ending.isdecimal() or ending.lower() in _ENDINGS


class Sticks:
    """Looks for sticks on a thread of its own, from `start` to `stop`; for any thread otherwise."""

    def __init__(self, media: MediaOptions, door: Door, sources: Sources, pace: IntakePace) -> None:
        self._media, self._door, self._sources, self._pace = media, door, sources, pace
        self._sticks: tuple[Stick, ...] = ()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sticks", daemon=True)
        sources.open(_KIND, ", ".join(map(str, media.roots)))

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; a stick that does not answer is not waited for."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def plugged_in(self) -> tuple[Stick, ...]:
        """In the order in which they came."""
        return self._sticks

    def find(self, token: str) -> Stick | None:
        """The list that a page was made from; None when that stick was pulled out."""
        return next((stick for stick in self._sticks if stick.token == token), None)

    def once(self) -> None:
        """Look which sticks came and which went."""
        media = self._media
        mounts = removable_mounts(media.roots, media.mountinfo, media.devices)
        kept = [stick for stick in self._sticks if stick.mount in mounts and _is_same(stick)]
        known = {stick.mount for stick in kept}
        fresh = [stick for mount in mounts if mount not in known and (stick := self._listed(mount))]
        self._sticks = (*kept, *fresh)

    def take(
        self, stick: Stick, places: Iterable[int], label: str, actor: str
    ) -> list[tuple[StickFile, Outcome]]:
        """Hand over the files at some places of a stick's list; places that are none are passed over.

        What must wait ends it: the files after that one are not tried, and wait for the same reason.
        """
        outcomes: list[tuple[StickFile, Outcome]] = []
        waits: Outcome | None = None
        for place in sorted({place for place in places if 0 <= place < len(stick.files)}):
            file = stick.files[place]
            outcome = waits or self._hand_over(stick, file, label, actor)
            outcomes.append((file, outcome))
            waits = outcome if outcome.fate is Fate.LATER else None
        return outcomes

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            pause_s = self._pace.look_every_s
            try:
                with self._sources.busy(_KIND):
                    self.once()
                self._sources.note(_KIND, Trouble.NONE)
            except Exception as error:  # this thread must outlive whatever happens, and say so
                _log.error("looking for sticks: unexpected %s", type(error).__name__)
                self._sources.note(_KIND, Trouble.FAILED, type(error).__name__)
                pause_s = self._pace.longest_pause_s

    def _listed(self, mount: Mount) -> Stick | None:
        """None while it cannot be reached: it is tried again at the next look."""
        try:
            root = Signature.of(mount.point.stat())
            seen = look(mount.point, Rules(takes=may_be_picture), _LIMITS)
        except PermissionError:
            seen = Seen((), complete=False, unreadable=1)
        except OSError:
            return None
        files = tuple(map(_shown, sorted(seen.files, key=lambda file: file.parts)))
        name = display_text(mount.point.name, MAX_NAME_CHARS)
        return Stick(secrets.token_hex(8), name, mount, root, files, seen.complete and not seen.unreadable)

    def _hand_over(self, stick: Stick, file: StickFile, label: str, actor: str) -> Outcome:
        upload = Upload(file.found.name, label, source=str(_KIND), actor=actor)
        try:
            with open_found(stick.mount.point, file.found) as stream:
                outcome = refusal_of(stream.head(HEAD_BYTES)) or self._door.take(stream, upload)
        except SourceFailedError as error:
            return Outcome(Fate.BROKEN, str(error))
        if outcome.fate in (Fate.TAKEN, Fate.KNOWN, Fate.REFUSED):
            self._sources.count(_KIND, str(outcome.fate))
        return outcome


def _is_same(stick: Stick) -> bool:
    try:
        return Signature.of(stick.mount.point.stat()) == stick.root
    except OSError:
        return False


def _shown(found: Found) -> StickFile:
    folder = display_text(" / ".join(found.parts[:-1]), MAX_NAME_CHARS)
    name = display_text(found.name, MAX_NAME_CHARS)
    return StickFile(name, folder, found.signature.size_bytes, found)


def install_sticks(app: Flask, sticks: Sticks) -> None:
    """Let an application's screens show them."""
    app.extensions[_EXTENSION] = sticks


def sticks_of(app: Flask) -> Sticks | None:
    """Of an application; None where none are looked for."""
    found = app.extensions.get(_EXTENSION)
    return found if isinstance(found, Sticks) else None
