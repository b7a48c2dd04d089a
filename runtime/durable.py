"""Files and folders that are whole or absent, whatever happens to the power."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk; makes its folders. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file whole, in place of what is there; until it is on the disk, that stays. Raises OSError."""
    part = path.with_name(f".ulna-{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed
        write_synced(part, data)
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the folder's list of names is on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """`sync_folder` for a folder and all below it. Raises OSError."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def publish_folder(fresh: Path, target: Path) -> None:
    """Give a finished folder its name, in place of what is there; both lie in the same folder.

    The swap is one step where the system can exchange two names (Linux, common file systems); elsewhere there
    is a moment between two renames in which `target` is absent, never half. Raises OSError.
    """
    if not target.exists():
        fresh.replace(target)
    elif not _exchange(fresh, target):
        old = target.with_name(f"{fresh.name}-old")
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    function = getattr(ctypes.CDLL(None), "renameat2", None)
    if function is None:
        return False
    names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return bool(function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
