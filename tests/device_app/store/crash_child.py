"""A store that is used until it is killed: kill -9 of this very process at its n-th durable step."""

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
from device_app.store import open_store, prepare_store
from device_app.store.grouping import FileSays
from device_app.store.queue import ReadResult
from device_app.store.records import Upload

PICTURES = tuple(b"picture %d " % number * 1000 for number in range(4))
STUDIES = {hashlib.sha256(data).hexdigest(): f"{number // 2:064d}" for number, data in enumerate(PICTURES)}
DERIVED = ("facts", "screen", "thumb", "values", "heat")
"""In the worker's order; the answer comes after them."""
NEVER = 10**9


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
    DefaultDialect.do_commit = killer.around(DefaultDialect.do_commit)  # type: ignore[method-assign]
    use_store(Path(folder))
    note(Path(folder), f"steps {killer.steps}")


def use_store(folder: Path) -> None:
    """The same pictures every time: what was confirmed before is known now.

    The first two are sent as views of one examination, the last two are found to be by their study.
    """
    config = KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)
    prepare_store(config)
    store = open_store(config)
    for start in range(0, len(PICTURES), 2):
        first = ""
        for data in PICTURES[start : start + 2]:
            receipt = store.records.receive(io.BytesIO(data), Upload("a.png", examination=first))
            note(folder, f"received {receipt.public_id}")
            first = receipt.public_id if start == 0 else ""
        while (claim := store.queue.claim("worker")) is not None:
            store.grouping.settle(claim.image_id, FileSays(STUDIES[claim.sha256], "P 1"))
            for kind in DERIVED:
                store.files.write_derived(claim.sha256, kind, derived(kind, claim.sha256))
            if store.queue.complete(claim, ReadResult("none", f'"{claim.sha256}"', "0" * 64)):
                note(folder, f"answered {claim.sha256}")
    store.close()


def derived(kind: str, sha256: str) -> bytes:
    """What is computed of a picture: its whole content says of which."""
    return f"{kind} of {sha256}".encode() * 100


def note(folder: Path, line: str) -> None:
    """What a person or another process was told; written past every Python buffer."""
    descriptor = os.open(folder / "confirmed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)
