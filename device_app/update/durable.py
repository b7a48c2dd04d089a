"""Changes to the disk that survive a power cut: contents are flushed before a name points to them.

Every change of a name is one rename followed by a flush of the folder that holds it, so a reader sees the old
state or the new one and never a mixture.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.durable import sync_folder
from runtime.errors import DiskFullError, StoreError

# Whoever runs the installer (often root with umask 077), the kiosk's own user must be able to read it all.
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
DISK_FULL_HINT = "free some space and run the same command again; nothing that was live has changed"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn an OSError into the StoreError that says what to do. Raises DiskFullError, StoreError."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or place, error.strerror or str(error)
        if error.errno in _NO_ROOM:
            raise DiskFullError(f"no room to write {where}: {why}", DISK_FULL_HINT) from error
        if error.errno in _NOT_ALLOWED:
            raise StoreError(
                f"cannot write {where}: {why}", "use a folder you may write to, or run as its owner"
            ) from error
        raise StoreError(f"cannot work on {where}: {why}", "check the disk") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and flush its contents; the caller flushes the folder."""
    with path.open("xb") as handle:
        os.fchmod(handle.fileno(), _FILE_MODE)
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path`, atomically."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_file(beside, data)
    beside.replace(path)
    sync_folder(path.parent)


def replace_link(link: Path, target: str) -> None:
    """Point the symbolic link `link` to `target`, atomically: it never does not exist."""
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
    sync_folder(link.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents; one that is there stays as it is."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    path.chmod(_FOLDER_MODE)
    sync_folder(path.parent)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder to a name that is free."""
    source.rename(target)
    sync_folder(target.parent)


def remove(path: Path) -> None:
    """Remove a file, a link (not what it points to) or a folder with all it holds; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the kernel frees it when the process dies. Raises StoreError when held."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"another installation is working on {path.parent}", "wait until it has finished"
            ) from error
        yield
    finally:
        os.close(handle)
