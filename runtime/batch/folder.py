"""The folder of one batch: what its answers rest on (run.json), and that one run at a time writes it."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from runtime import strict
from runtime.batch.journal import NAME as JOURNAL
from runtime.batch.journal import explained
from runtime.durable import sync_folder, write_synced
from runtime.errors import BundleFormatError, UlnaError

RUN_NAME = "run.json"
_LOCK_NAME = ".lock"
_BEFORE_ALL = {_LOCK_NAME, f"{RUN_NAME}.part"}
DERIVED = ("findings.csv", "findings.parquet", "failures.csv", "summary.json")
"""Made anew at the end of every run."""
ANSWERS = {name + ending for name in (RUN_NAME, JOURNAL, *DERIVED) for ending in ("", ".part")}
"""All that a run writes there under a name that is not hidden."""
_ELSEWHERE = "choose another folder for --out"


@dataclass(frozen=True)
class Basis:
    """What all answers in a folder have in common; answers of two bases are never mixed.

    bundle: name and version, for people. age to view: as stated for all pictures. pictures: absolute path
    of the folder of --overlay, "" for none.
    """

    bundle_sha256: str
    bundle: str
    engine: str
    age: str = ""
    sex: str = ""
    body_part: str = ""
    view: str = ""
    pictures: str = ""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Make the folder where it is not there, and hold it alone.

    Raises UlnaError where another run holds it, for a folder that holds something else, and where the disk
    does not do what it should.
    """
    with explained(folder):
        if _is_strange(folder):
            raise UlnaError(f"{folder} holds something other than the answers of a batch", _ELSEWHERE)
        lock = (folder / _LOCK_NAME).open("ab")
    with lock:
        with explained(folder / _LOCK_NAME):
            _hold(lock, folder)
        yield folder


def _is_strange(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {item.name for item in folder.iterdir()}
    except (FileExistsError, NotADirectoryError) as error:
        raise UlnaError(f"{folder} is no folder", _ELSEWHERE) from error
    return RUN_NAME not in found and not found <= _BEFORE_ALL


def _hold(lock: BinaryIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UlnaError(f"another run is writing {folder}", "wait for it, or end it") from error


def basis_of(folder: Path) -> Basis | None:
    """Of the answers that are there; None for a new folder. Raises UlnaError where it cannot be told."""
    path = folder / RUN_NAME
    if not path.exists():
        return None
    try:
        return strict.build(Basis, strict.loads(path.read_bytes(), RUN_NAME), RUN_NAME)
    except BundleFormatError as error:
        raise UlnaError(f"{path} does not say what the answers rest on: {error}", _ELSEWHERE) from error


def require_same(folder: Path, there: Basis, wanted: Basis) -> None:
    """Raises UlnaError naming the first thing in which they differ."""
    for name, before in asdict(there).items():
        now = asdict(wanted)[name]
        if name != "bundle" and before != now:
            raise UlnaError(
                f"the answers in {folder} were made with another {_words(name)}: "
                f"{_shown(there, name)} there, {_shown(wanted, name)} now",
                f"{_ELSEWHERE}, or run detect as before; answers of the two are not mixed",
            )


def begin(folder: Path, basis: Basis) -> None:
    """Write down what the answers rest on, and take away what an earlier run drew from fewer of them.

    Raises DiskFullError and UlnaError where the disk does not take it.
    """
    path, part = folder / RUN_NAME, folder / f"{RUN_NAME}.part"
    data = json.dumps(asdict(basis), indent=2).encode("ascii") + b"\n"
    with explained(path):
        if not path.exists() or path.read_bytes() != data:
            part.unlink(missing_ok=True)
            write_synced(part, data)
            part.replace(path)
            sync_folder(folder)
        for name in DERIVED:
            (folder / name).unlink(missing_ok=True)


def journal_of(folder: Path) -> Path:
    """Where the answers stand."""
    return folder / JOURNAL


def _words(name: str) -> str:
    return {"bundle_sha256": "bundle", "pictures": "--overlay"}.get(name, name.replace("_", " "))


def _shown(basis: Basis, name: str) -> str:
    value: str = asdict(basis)[name]
    if name == "bundle_sha256":
        return f"{basis.bundle} ({value[:12]})"
    return value or "none"
