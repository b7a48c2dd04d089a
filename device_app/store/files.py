"""Received bytes on disk, named by what they are: `images/ab/abcd…`, never by what a sender calls them.

The order that makes an upload durable: write beside, fsync the file, rename, fsync the folders; only
then may a row speak of it. A file without a row is the trace of an upload never confirmed and is swept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from device_app.store.database import disk_full, is_disk_full
from runtime.durable import sync_folder, write_synced
from runtime.errors import InputError, StoreError

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_ENDINGS = {"values": "gz", "facts": "json"}
"""Of computed files that are no PNG."""


@dataclass(frozen=True)
class StagedFile:
    """Bytes fsynced beside the store, not yet part of it."""

    path: Path
    sha256: str
    size_bytes: int


class ImageFiles:
    """The content store under one folder."""

    def __init__(self, folder: Path) -> None:
        self._images = folder / "images"
        self._derived = folder / "derived"
        self.incoming = folder / "incoming"
        for path in (self._images, self._derived, self.incoming):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(folder)

    def stage(self, stream: IO[bytes], limit_bytes: int) -> StagedFile:
        """Copy a stream beside the store and fsync it.

        Raises InputError for an empty or oversized stream, DiskFullError when there is no room; the
        copy is gone then.
        """
        path = self.incoming / f"{secrets.token_hex(16)}.part"
        try:
            return _copy(stream, path, limit_bytes)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if is_disk_full(error):
                raise disk_full() from error
            raise

    def adopt(self, staged: StagedFile) -> None:
        """Move staged bytes to their place, durably."""
        target = self.path(staged.sha256)
        with _room():
            if not target.parent.exists():
                target.parent.mkdir(mode=0o700)
                sync_folder(self._images)
            staged.path.replace(target)
            sync_folder(target.parent)

    def path(self, sha256: str) -> Path:
        """Where bytes with this digest lie. Raises StoreError for anything but a digest."""
        return self._images / _checked(sha256)[:2] / sha256

    def read(self, sha256: str) -> bytes:
        """The bytes, whose digest is checked again. Raises StoreError when they are gone or changed."""
        try:
            data = self.path(sha256).read_bytes()
        except OSError as error:
            raise StoreError(f"a stored picture cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError("a stored picture has changed on disk")
        return data

    def drop(self, sha256: str) -> None:
        """Remove bytes that no row speaks of."""
        self.path(sha256).unlink(missing_ok=True)

    def erase(self, sha256: str) -> None:
        """Remove a picture's bytes and all that was computed from them, once its row says that it is gone."""
        for path in self._derived.glob(f"{_checked(sha256)[:2]}/{sha256}.*"):
            path.unlink(missing_ok=True)
        self.drop(sha256)

    def taken_bytes(self, sha256: str) -> int:
        """Of the disk, by a picture and all that was computed from it."""
        paths = [self.path(sha256), *self._derived.glob(f"{sha256[:2]}/{sha256}.*")]
        taken = 0
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                taken += path.stat().st_size
        return taken

    def derived_path(self, sha256: str, kind: str) -> Path:
        """Where a picture, or another file, computed from an image lies."""
        return self._derived / _checked(sha256)[:2] / f"{sha256}.{kind}.{_ENDINGS.get(kind, 'png')}"

    def write_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """Store a computed file; replaced whole, so that no reader meets half of one."""
        target = self.derived_path(sha256, kind)
        beside = self.incoming / f"{secrets.token_hex(16)}.part"
        try:
            with _room():
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_synced(beside, data)
                beside.replace(target)
                sync_folder(target.parent)
        finally:
            beside.unlink(missing_ok=True)

    def sweep(self, known: Iterable[str]) -> int:
        """Remove what no confirmed upload owns; returns how many files. Only while nothing else writes."""
        keep = frozenset(known)
        stray = [*self.incoming.iterdir()]
        stray += [path for path in self._images.glob("*/*") if path.name not in keep]
        stray += [path for path in self._derived.glob("*/*") if path.name.split(".")[0] not in keep]
        for path in stray:
            path.unlink(missing_ok=True)
        return len(stray)


def stored_pictures(folder: Path) -> Iterator[Path]:
    """Of a data folder: every file that lies where a received picture does, in no order."""
    return (path for path in (folder / "images").glob("*/*") if _DIGEST.match(path.name))


def _copy(stream: IO[bytes], path: Path, limit_bytes: int) -> StagedFile:
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("xb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise InputError(f"the file is larger than {limit_bytes >> 20} MB")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size_bytes == 0:
        raise InputError("the file is empty")
    return StagedFile(path, digest.hexdigest(), size_bytes)


def _checked(sha256: str) -> str:
    if not _DIGEST.match(sha256):
        raise StoreError("not a digest")
    return sha256


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full() from error
        raise
