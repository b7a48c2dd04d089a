"""Where an export goes: a new folder on a stick, or a zip in the data folder. Nothing that is there is
touched.

A folder is called unfinished until its last byte is on the stick; a zip has no name under which it could be
fetched until it is whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol

from device_app.intake.mounts import Mount
from device_app.intake.steady import Signature

UNFINISHED = ".unfinished"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_A_DAY = 99
_CHUNK_BYTES = 1 << 20
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class Fault(StrEnum):
    """Why an export ended early; screens translate these."""

    FULL = "full"
    READ_ONLY = "read_only"
    GONE = "gone"
    TOO_LARGE = "too_large"
    FAILED = "failed"


class TargetError(Exception):
    """The export cannot go on there."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Target(Protocol):
    """A place that files are added to. Every method raises TargetError."""

    def add(self, name: str, stream: IO[bytes]) -> str:
        """Write a file; its SHA-256 in hex."""
        ...

    def finish(self) -> str:
        """Everything is on the disk and has its name, which is given."""
        ...

    def leave(self) -> None:
        """End without finishing; never raises."""
        ...


class StickFolder:
    """`images/` and tables in a new folder on a mounted stick, by descriptors only, so that no link is
    followed.

    root: what the stick's own folder was when it was listed. Raises TargetError.
    """

    def __init__(self, mount: Mount, root: Signature, date: str) -> None:
        self._parent = self._folder = self._images = -1
        self._stem = f"ulna-cases-{date}"
        try:
            with _faults():
                self._parent = os.open(mount.point, _FOLDER)
                if os.fstat(self._parent).st_dev != root.device:
                    raise TargetError(Fault.GONE)  # unmounted: this would be the box's own disk
                self.name = self._reserve()
                self._folder = os.open(self.name + UNFINISHED, _FOLDER, dir_fd=self._parent)
                os.mkdir("images", 0o770, dir_fd=self._folder)
                self._images = os.open("images", _FOLDER, dir_fd=self._folder)
                os.fsync(self._parent)
        except TargetError:
            self.leave()
            raise

    def add(self, name: str, stream: IO[bytes]) -> str:
        """See Target."""
        folder, _, last = name.rpartition("/")
        digest = hashlib.sha256()
        with _faults():
            descriptor = os.open(last, _NEW_FILE, 0o660, dir_fd=self._images if folder else self._folder)
            with os.fdopen(descriptor, "wb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        return digest.hexdigest()

    def finish(self) -> str:
        """See Target."""
        with _faults():
            os.fsync(self._images)
            os.fsync(self._folder)
            if _is_there(self.name, self._parent):
                self.name = self._free_name()
            was = f"{self._made}{UNFINISHED}"
            os.rename(was, self.name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            os.fsync(self._parent)
        self.leave()
        return self.name

    def leave(self) -> None:
        """See Target. The folder stays as it is, called unfinished."""
        for descriptor in (self._images, self._folder, self._parent):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._images = self._folder = self._parent = -1

    def _reserve(self) -> str:
        """Make the unfinished folder; the name that it will have."""
        for name in self._names():
            if _is_there(name, self._parent):
                continue
            with contextlib.suppress(FileExistsError):
                os.mkdir(name + UNFINISHED, 0o770, dir_fd=self._parent)
                self._made = name
                return name
        raise TargetError(Fault.FAILED)

    def _free_name(self) -> str:
        found = next((name for name in self._names() if not _is_there(name, self._parent)), None)
        if found is None:
            raise TargetError(Fault.FAILED)
        return found

    def _names(self) -> Iterator[str]:
        yield self._stem
        for number in range(2, _MOST_A_DAY + 1):
            yield f"{self._stem}-{number}"


class ZipFile:
    """A zip in the data folder's incoming area, which is swept at the next start. See ReadyZip.

    most_bytes: of the zip. reserve_bytes: disk space that it leaves. Raises TargetError.
    """

    def __init__(self, path: Path, most_bytes: int, reserve_bytes: int) -> None:
        self.path, self._most, self._reserve = path, most_bytes, reserve_bytes
        with _faults():
            descriptor = os.open(self._part, _NEW_FILE, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    @property
    def _part(self) -> Path:
        return self.path.with_suffix(".part")

    def add(self, name: str, stream: IO[bytes]) -> str:
        """See Target."""
        digest = hashlib.sha256()
        entry = zipfile.ZipInfo(f"{self.path.stem}/{name}", _ZIP_TIME)  # no time of anything
        entry.compress_type = zipfile.ZIP_DEFLATED
        with _faults(), self._zip.open(entry, "w", force_zip64=True) as file:
            while chunk := stream.read(_CHUNK_BYTES):
                self._require_room(len(chunk))
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def finish(self) -> str:
        """See Target."""
        with _faults():
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.path)
        return self.path.name

    def leave(self) -> None:
        """See Target. Nothing of it stays."""
        self._zip.fp = None  # it would write its list of contents when it is forgotten
        with contextlib.suppress(OSError, ValueError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _require_room(self, more_bytes: int) -> None:
        if self._file.tell() + more_bytes > self._most:
            raise TargetError(Fault.TOO_LARGE)
        facts = os.fstatvfs(self._file.fileno())
        if facts.f_bavail * facts.f_frsize - more_bytes < self._reserve:
            raise TargetError(Fault.FULL)


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


_FAULTS = {
    errno.ENOSPC: Fault.FULL,
    errno.EDQUOT: Fault.FULL,
    errno.EFBIG: Fault.FULL,
    errno.EROFS: Fault.READ_ONLY,
    errno.EACCES: Fault.READ_ONLY,
    errno.EPERM: Fault.READ_ONLY,
    errno.ENOENT: Fault.GONE,
    errno.ENODEV: Fault.GONE,
    errno.EIO: Fault.GONE,
    errno.ESTALE: Fault.GONE,
}


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(_FAULTS.get(error.errno or 0, Fault.FAILED)) from error
