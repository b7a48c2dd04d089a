"""A store that is migrated and used until it is killed: kill -9 of this very process at its n-th step."""

from __future__ import annotations

import hashlib
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from device_app import KioskConfig
from device_app.readings import Draft, Judgement, Kind
from device_app.store import Store, open_store, prepare_store
from device_app.store.database import now_utc
from device_app.store.grouping import FileSays
from device_app.store.queue import ReadResult
from device_app.store.records import Upload
from device_app.store.removal import Removal
from runtime.errors import InputError
from tests.device_app.store import old_box

PICTURES = tuple(b"picture %d " % number * 1000 for number in range(4))
STUDIES = {hashlib.sha256(data).hexdigest(): f"{number // 2:064d}" for number, data in enumerate(PICTURES)}
DERIVED = ("facts", "screen", "thumb", "values", "heat")
"""In the worker's order; the answer comes after them."""
NEVER = 10**9
READER = "reader"


class Killer:
    """Counts steps, before and after each, and ends the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def tick(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self.tick()
            answer = function(*arguments, **named)
            self.tick()
            return answer

        return stepped


def run(folder: str, kill_at: int) -> None:
    """Start up, receive, read, store; every confirmation goes to `confirmed` at once."""
    killer = Killer(kill_at)
    os.fsync = killer.around(os.fsync)
    for name in ("replace", "unlink", "open"):
        setattr(Path, name, killer.around(getattr(Path, name)))
    for name in ("do_commit", "do_execute"):
        setattr(DefaultDialect, name, killer.around(getattr(DefaultDialect, name)))
    use_store(Path(folder))
    note(Path(folder), f"steps {killer.steps}")


def use_store(folder: Path) -> None:
    """The same pictures every time: what was confirmed before is known now.

    The folder may be an old box's: its waiting picture is read, and its answered one is removed in the end.
    """
    config = KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)
    prepare_store(config)
    store = open_store(config)
    read_waiting(store, folder)
    for start in range(0, len(PICTURES), 2):
        receive_pair(store, folder, start)
        read_waiting(store, folder)
    for one in store.records.history(1, 100).examinations:
        judge(store, folder, one.public_id)
    remove_old(store, folder)
    store.close()


def receive_pair(store: Store, folder: Path, start: int) -> None:
    """The first two are sent as views of one examination, the last two are found to be by their study."""
    first = ""
    for data in PICTURES[start : start + 2]:
        receipt = store.records.receive(io.BytesIO(data), Upload("a.png", examination=first))
        note(folder, f"received {receipt.public_id}")
        first = receipt.public_id if start == 0 else ""


def read_waiting(store: Store, folder: Path) -> None:
    """As the worker does."""
    while (claim := store.queue.claim("worker")) is not None:
        store.grouping.settle(claim.image_id, FileSays(STUDIES.get(claim.sha256, ""), "P 1"))
        for kind in DERIVED:
            store.files.write_derived(claim.sha256, kind, derived(kind, claim.sha256))
        if store.queue.complete(claim, ReadResult("none", f'"{claim.sha256}"', "0" * 64)):
            note(folder, f"answered {claim.sha256}")


def judge(store: Store, folder: Path, examination: str) -> None:
    """One own reading of each, and no second one by somebody who comes back after the power failed."""
    try:
        store.readings.add(examination, Draft(Kind.OWN, Judgement.NONE), READER, lambda record: "none")
    except InputError:
        return
    note(folder, f"judged {examination}")


def remove_old(store: Store, folder: Path) -> None:
    """The time of the old answered picture is over."""
    ids = [
        image.id
        for one in store.records.history(1, 100).examinations
        for image in one.images
        if image.sha256 == old_box.digest(old_box.ANSWERED)
    ]
    if Removal(store.database, store.files, store.records.adopting).remove(ids, now_utc()):
        note(folder, f"removed {old_box.digest(old_box.ANSWERED)}")


def derived(kind: str, sha256: str) -> bytes:
    """What is computed of a picture: its whole content says of which."""
    return f"{kind} of {sha256}".encode() * 100


def note(folder: Path, line: str) -> None:
    """What a person or another process was told; written past every Python buffer."""
    descriptor = os.open(folder / "confirmed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)
