"""Received bytes on disk, named by what they are: `images/ab/abcd…`, never by what a sender calls them.

The order that makes an upload durable: write beside, fsync the file, rename, fsync the folders; only
then may a row speak of it. A file without a row is the trace of an upload never confirmed, or its row is
lost with an older database that was put back: nobody can tell, so that it is set aside, never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import IO

from device_app.store.database import disk_full, is_disk_full
from runtime.durable import sync_folder, write_synced
from runtime.errors import InputError, StoreError

_log = logging.getLogger("ulna.files")
ASIDE_FOLDER = "set-aside"
_CHUNK_BYTES = 1 << 20
_DIGEST_CHARS = 64
_SMALLER = "Export it smaller: one picture a file, as PNG or as DICOM that is compressed without loss."
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_ASIDE = re.compile(r"[0-9a-f]{64}(?:\.\d{8})?\Z")
"""Of a picture that was set aside, and the day from which its time counts."""
_DAY = "%Y%m%d"
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
        self._aside = folder / ASIDE_FOLDER / "pictures"
        self._derived = folder / "derived"
        self.incoming = folder / "incoming"
        self.shelf = threading.Lock()
        """Held while pictures that were set aside are renamed, taken in or removed."""
        for path in (self._images, self._derived, self.incoming):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(folder)

    def stage(self, stream: IO[bytes], limit_bytes: int, written_utc: datetime | None = None) -> StagedFile:
        """Copy a stream beside the store and fsync it. written_utc: the file's time, None for now.

        Raises InputError for an empty or oversized stream, DiskFullError when there is no room; the
        copy is gone then.
        """
        path = self.incoming / f"{secrets.token_hex(16)}.part"
        try:
            return _copy(stream, path, limit_bytes, written_utc)
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

    def begin(self, sha256: str, most_bytes: int) -> bytes:
        """The first bytes, whose digest cannot be checked. Raises StoreError when they are gone."""
        try:
            with self.path(sha256).open("rb") as file:
                return file.read(most_bytes)
        except OSError as error:
            raise StoreError(f"a stored picture cannot be read: {error.strerror}") from error

    def drop(self, sha256: str) -> None:
        """Remove bytes that no row speaks of."""
        self.path(sha256).unlink(missing_ok=True)

    def erase(self, sha256: str) -> None:
        """Remove a picture's bytes and all that was computed from them, once its row says that it is gone.

        A file that cannot be removed is left, for the next look.
        """
        for path in (*self._derived.glob(f"{_checked(sha256)[:2]}/{sha256}.*"), self.path(sha256)):
            _remove(path)

    def left_of(self, digests: frozenset[str]) -> frozenset[str]:
        """Those of which there is any file, computed ones too; not looked for where none is asked about."""
        if not digests:
            return digests
        here = itertools.chain(self._images.glob("*/*"), self._derived.glob("*/*"))
        return frozenset(name for path in here if (name := path.name.split(".")[0]) in digests)

    def written_utc(self, sha256: str) -> datetime:
        """When its bytes came the last time, by the box's clock; long ago where they are gone."""
        return written_utc(self.path(sha256))

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

    def sweep(self, known: Iterable[str], removed: Mapping[str, datetime] = MappingProxyType({})) -> int:
        """Set received pictures aside that no row speaks of, and remove what else no confirmed upload owns;
        how many pictures were set aside. Only while nothing else writes. What cannot be moved stays.

        removed: digests of rows that say that their picture is gone, and since when. What was written later
        has come again, for a visit whose row is lost.
        """
        keep = frozenset(known)
        images = [path for path in self._images.glob("*/*") if path.name not in keep]
        lost = [path for path in images if _DIGEST.match(path.name) and not is_over(path, removed)]
        stray = [*self.incoming.iterdir(), *sorted({*images} - {*lost})]
        stray += [path for path in self._derived.glob("*/*") if path.name.split(".")[0] not in keep]
        stored = keep & self.here()
        stray += [path for path in self.aside() if digest_of(path) in stored or is_over(path, removed)]
        for path in stray:
            _remove(path)
        return self._set_aside(lost)

    def aside(self) -> tuple[Path, ...]:
        """Pictures that were set aside."""
        return tuple(path for path in self._aside.glob("*") if _ASIDE.match(path.name))

    def sweep_aside(self, now_utc: datetime, keep_days: int) -> int:
        """Remove pictures that were set aside and have had their time; how many. By a clock that is believed.

        It counts from when such a clock first saw them: the start that sets them aside has none.
        """
        with self.shelf:
            return sum(_end_of_time(path, now_utc, keep_days) for path in self.aside())

    def here(self) -> frozenset[str]:
        """Digests of the received pictures that are on the disk."""
        return frozenset(path.name for path in self._images.glob("*/*"))

    def _set_aside(self, lost: Sequence[Path]) -> int:
        """Durably, one name at a time: the bytes are always somewhere."""
        if not lost:
            return 0
        moved = 0
        with _said("pictures cannot be set aside"):
            self._aside.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in lost:
                path.replace(self._aside / path.name)
                moved += 1
            for folder in (self._aside, self._aside.parent, *{path.parent for path in lost}):
                sync_folder(folder)
        return moved


def stored_pictures(folder: Path) -> Iterator[Path]:
    """Of a data folder: every file that lies where a received picture does, in no order."""
    return (path for path in (folder / "images").glob("*/*") if _DIGEST.match(path.name))


def digest_of(path: Path) -> str:
    """Of a picture, set aside or not."""
    return path.name[:_DIGEST_CHARS]


def is_over(path: Path, removed: Mapping[str, datetime]) -> bool:
    """Whether a picture's row says that it is gone, and it has not come again since."""
    since = removed.get(digest_of(path))
    return since is not None and written_utc(path) <= since


def written_utc(path: Path) -> datetime:
    """When a file was written the last time, by the box's clock; long ago where it is gone."""
    try:
        seconds = path.stat().st_mtime
    except OSError:
        seconds = 0.0
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def aside_since(path: Path) -> datetime | None:
    """From when its time counts; None while it does not."""
    try:
        return datetime.strptime(path.name[_DIGEST_CHARS + 1 :], _DAY)  # without a zone, like the tables
    except ValueError:
        return None


def _end_of_time(path: Path, now_utc: datetime, keep_days: int) -> bool:
    """Whether it is gone. One whose time does not count yet is marked with the day."""
    since = aside_since(path)
    if since is None:
        with _said("a picture that was set aside cannot be marked"):
            path.rename(path.with_name(f"{digest_of(path)}.{now_utc.strftime(_DAY)}"))
        return False
    return now_utc - since > timedelta(days=keep_days) and _remove(path)


def _remove(path: Path) -> bool:
    """Whether it is gone. One that the disk does not let go must not keep the others, nor a start."""
    with _said("a file cannot be removed"):
        path.unlink(missing_ok=True)
        return True
    return False


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    """What the system refuses is told to whoever reads the journal."""
    try:
        yield
    except OSError as error:
        _log.warning("%s: %s", what, error.strerror)


def _copy(stream: IO[bytes], path: Path, limit_bytes: int, written_utc: datetime | None) -> StagedFile:
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("xb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise InputError(f"the file is larger than {limit_bytes >> 20} MB", _SMALLER)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        if written_utc is not None:
            os.utime(file.fileno(), (written_utc.replace(tzinfo=UTC).timestamp(),) * 2)
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
