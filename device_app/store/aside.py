"""Pictures that were set aside: how long they lie there, and their way back.

    aside -> the door that every picture takes -> a row, committed -> no longer aside

Killed at any point, a picture is aside, or stored, or both; where it is both, the next run or start ends the
move. Whether its record was lost or removed on purpose nobody can tell, so a person decides, for all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from device_app.retention import FIRST_UTC
from device_app.store import Store
from device_app.store.database import now_utc
from device_app.store.files import ImageFiles, aside_since, digest_of, is_over, written_utc
from device_app.store.log import Action
from device_app.store.records import QueueFullError, Upload
from device_app.store.recover import Arrival, arrivals
from device_app.store.sources import TAKEN_IN
from runtime.errors import DiskFullError, InputError, StoreError


class Why(StrEnum):
    """What ended a run before all was looked at."""

    NOTHING = ""
    DISK = "disk"
    QUEUE = "queue"
    TIME = "time"


@dataclass(frozen=True)
class Aside:
    """What lies aside. since_utc: from when the time of the first of them counts; None while that of none
    does.
    """

    pictures: int = 0
    since_utc: datetime | None = None

    def until_utc(self, keep_days: int) -> datetime | None:
        """From when on they are removed; None while that is not known, or for never."""
        if self.since_utc is None or keep_days == 0:
            return None
        return self.since_utc + timedelta(days=keep_days)


@dataclass(frozen=True)
class Bounds:
    """Of one run. most_waiting: pictures in the queue from which on no more are put there. seconds: until it
    ends by itself.
    """

    most_waiting: int
    seconds: float = math.inf

    @classmethod
    def of(cls, max_waiting: int, seconds: float = math.inf) -> Bounds:
        """Half the queue stays for whoever comes today."""
        return cls(max(1, max_waiting // 2), seconds)


@dataclass(frozen=True)
class TakenIn:
    """What a run did. known: were stored already, or gone by the clinic's rule. damaged, left: stay aside;
    why: there are others left.
    """

    taken: int = 0
    known: int = 0
    damaged: int = 0
    left: int = 0
    why: Why = Why.NOTHING


def lying_aside(files: ImageFiles) -> Aside:
    """What lies aside now."""
    paths = files.aside()
    marked = [since for path in paths if (since := aside_since(path)) is not None]
    return Aside(len({digest_of(path) for path in paths}), min(marked, default=None))


def take_in(store: Store, actor: str, bounds: Bounds) -> TakenIn:
    """Take in what lies aside, oldest first, as far as disk, queue and time allow. actor: who asks, as the
    log names them.

    Only where no start sweeps the folder: in the kiosk, or under the folder's lock. Raises StoreError.
    """
    try:
        with store.files.shelf:
            return _take_in(store, actor, bounds)
    except OSError as error:
        raise StoreError(f"pictures cannot be taken in: {error.strerror}", "look at the disk") from error


class _Fate(StrEnum):
    TAKEN = "taken"
    KNOWN = "known"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class _Lying:
    """One picture, and its files; one that was set aside twice has two."""

    sha256: str
    paths: tuple[Path, ...]

    @property
    def written_utc(self) -> datetime:
        """When it was received, by the box's clock then."""
        return min(map(written_utc, self.paths))

    def read(self) -> bytes | None:
        """None where the bytes cannot be read, or are no longer what they were."""
        for path in self.paths:
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() == self.sha256:
                    return data
        return None

    def drop(self) -> None:
        """Once it is stored. What stays is known at the next run."""
        for path in self.paths:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Known:
    """What the database says of pictures: stored, gone by the clinic's rule, and how they came in."""

    stored: frozenset[str]
    gone: dict[str, datetime]
    arrivals: dict[str, Arrival]

    @classmethod
    def of(cls, store: Store, digests: Sequence[str]) -> _Known:
        stored, gone = store.records.known_digests(), store.records.removed_digests()
        with store.database.read() as session:
            return cls(stored, gone, arrivals(session, digests))


def _take_in(store: Store, actor: str, bounds: Bounds) -> TakenIn:
    found = _found(store.files)
    known = _Known.of(store, [one.sha256 for one in found])
    ends_s = time.monotonic() + bounds.seconds
    done: Counter[_Fate] = Counter()
    why = Why.NOTHING
    try:
        for one in found:
            if time.monotonic() >= ends_s:
                why = Why.TIME
                break
            done[_take(store, one, known, actor, bounds.most_waiting)] += 1
    except DiskFullError:
        why = Why.DISK
    except QueueFullError:
        why = Why.QUEUE
    _note(store, actor, done)
    left = len(found) - done.total()
    return TakenIn(done[_Fate.TAKEN], done[_Fate.KNOWN], done[_Fate.DAMAGED], left, why)


def _found(files: ImageFiles) -> list[_Lying]:
    """Oldest first, as they came."""
    shelf: dict[str, list[Path]] = {}
    for path in files.aside():
        shelf.setdefault(digest_of(path), []).append(path)
    found = [_Lying(sha256, tuple(paths)) for sha256, paths in shelf.items()]
    return sorted(found, key=lambda one: (one.written_utc, one.sha256))


def _take(store: Store, one: _Lying, known: _Known, actor: str, most_waiting: int) -> _Fate:
    """Raises DiskFullError, QueueFullError; it is aside then, as before."""
    if _is_settled(store.files, one, known):
        one.drop()
        return _Fate.KNOWN
    data = one.read()
    if data is None:
        return _Fate.DAMAGED
    if store.queue.counts().waiting >= most_waiting:
        raise QueueFullError("too many pictures are waiting", hint="wait until some have been read")
    try:
        receipt = store.records.receive(io.BytesIO(data), _upload(one, known, actor))
    except InputError:  # larger than pictures may be by now
        return _Fate.DAMAGED
    one.drop()
    return _Fate.KNOWN if receipt.known else _Fate.TAKEN


def _is_settled(files: ImageFiles, one: _Lying, known: _Known) -> bool:
    """Whether it need not lie aside any more. Of a stored picture that rotted, this is the better copy."""
    if all(is_over(path, known.gone) for path in one.paths):
        return True
    with contextlib.suppress(StoreError):
        return one.sha256 in known.stored and bool(files.read(one.sha256))
    return False


def _upload(one: _Lying, known: _Known, actor: str) -> Upload:
    """As of a picture whose row is lost: what the log still says of it, else its file's own time."""
    arrival = known.arrivals.get(one.sha256)
    if arrival is not None and arrival.at_utc <= known.gone.get(one.sha256, datetime.min):
        arrival = None  # that was an earlier visit's, which was removed
    came = arrival.at_utc if arrival else one.written_utc
    return Upload(
        f"{TAKEN_IN}-{one.sha256[:8]}",
        source=TAKEN_IN,
        actor=actor,
        photographed=arrival is not None and arrival.photographed,
        received_utc=came if FIRST_UTC <= came <= now_utc() else None,
    )


def _note(store: Store, actor: str, done: Counter[_Fate]) -> None:
    if not done[_Fate.TAKEN] + done[_Fate.KNOWN]:
        return
    counts: dict[str, Any] = {"pictures": done[_Fate.TAKEN]}
    counts |= {str(fate): done[fate] for fate in (_Fate.KNOWN, _Fate.DAMAGED)}
    with contextlib.suppress(DiskFullError):  # each of them has its own entry already
        store.log.note(actor, Action.TAKEN_IN, **counts)
