"""The engines that this box has built: a folder of its own, signed by its own key.

    ROOT/box.key              made at first use; whoever can read it can make engines that this box runs
    ROOT/lock                 held while one process builds or removes
    ROOT/engines/DIGEST/      engine, record.json, record.sig; DIGEST is that of the engine's key
    ROOT/timing/DIGEST/       cache, record.json, record.sig: timings of kernels on one GPU and version
    ROOT/work/                what is being made; what a killed process leaves is removed by the next

An engine is code: the GPU and its driver run it as it is. So an engine that this box has not signed, or that
is not what was signed, is never handed out. A folder takes its name when all of it is on the disk.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from runtime import box_key, file_lock, sealed, strict
from runtime.build_record import BuildRecord, EngineKey, TimingRecord, timing_digest
from runtime.durable import publish_folder, sync_folder
from runtime.errors import BackendError, BundleError, BundleFormatError
from runtime.trt_build.place import BuildPlace

DEFAULT_LIMIT_BYTES = 1 << 30
ENGINE_NAME = "engine"
TIMING_NAME = "cache"
_ENGINES, _TIMING, _WORK = "engines", "timing", "work"


@dataclass(frozen=True, eq=False)
class StoredEngine:
    """An engine whose signature, digest and key were found right. While this lives, it is not pruned."""

    record: BuildRecord
    data: bytes
    lease: BinaryIO


@dataclass(frozen=True)
class Held:
    """What lies in one folder of the store. record: None for timings, and where `problem` says what is wrong.

    used: seconds since 1970 of the last use.
    """

    path: Path
    size_bytes: int
    used: float
    record: BuildRecord | None = None
    problem: str = ""


class EngineStore:
    """A store at `root`, made where there is none. limit_bytes: what `prune` leaves.

    Raises SignatureError for a key that others may read or that cannot be read, BackendError where the folder
    cannot be made, belongs to somebody else or holds other things.
    """

    def __init__(self, root: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.root, self.limit_bytes = Path(root).absolute(), limit_bytes
        with _disk(self.root):
            box_key.make_private_folder(self.root)
            if not box_key.is_there(self.root):  # else not: another process may be building for long
                box_key.require_unused(self.root)
                with self.locked():
                    box_key.make(self.root)
            self._key = box_key.load(self.root)
            for name in (_ENGINES, _TIMING):
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
        self._public = self._key.public_key()

    def load(self, key: EngineKey) -> StoredEngine | None:
        """The engine of this key, None where there is none.

        Raises BundleError (SignatureError, DigestMismatchError, BundleFormatError) for one that is refused.
        """
        return self.load_digest(key.digest)

    def load_digest(self, digest: str) -> StoredEngine | None:
        """As `load`, for who was told the key's digest by a process that has the key."""
        found = self._checked(digest)
        if found is not None:
            _touch(self.root / _ENGINES / digest)
        return found

    def load_timing(self, place: BuildPlace) -> bytes:
        """Timings of kernels on this place; b"" where there are none or they are refused."""
        folder = self.root / _TIMING / timing_digest(place)
        try:
            opened = self._open(folder)
            if opened is None:
                return b""
            with opened[0]:
                record = strict.build(TimingRecord, opened[1], sealed.RECORD_NAME)
            if record.place != place:
                return b""
            data = sealed.read_file(folder / TIMING_NAME, record.sha256, record.size_bytes)
        except BundleError:
            return b""
        _touch(folder)
        return data

    def save(self, record: BuildRecord, engine: bytes) -> None:
        """Sign an engine and put it in its place, in place of one that was refused. Call it `locked`."""
        self._publish(self.root / _ENGINES / record.key.digest, ENGINE_NAME, engine, record)

    def save_timing(self, record: TimingRecord, data: bytes) -> None:
        """Sign timings and put them in their place. Call it `locked`."""
        self._publish(self.root / _TIMING / timing_digest(record.place), TIMING_NAME, data, record)

    def forget_timing(self, place: BuildPlace) -> None:
        """Drop timings that a builder may have stumbled over. Call it `locked`."""
        self._remove(self.root / _TIMING / timing_digest(place))

    def held(self) -> tuple[Held, ...]:
        """All that lies here, last used first; each engine is checked in full."""
        with _disk(self.root):
            engines = [self._look(folder) for folder in (self.root / _ENGINES).iterdir()]
            timings = [_measure(folder) for folder in (self.root / _TIMING).iterdir()]
        return tuple(sorted((*engines, *timings), key=lambda item: item.used, reverse=True))

    def prune(self, keep: frozenset[str] = frozenset()) -> tuple[Held, ...]:
        """Remove what is refused, then the longest unused until `limit_bytes` hold the rest.

        Call it `locked`. keep: digests that stay. So does what a process has loaded and still holds. Returns
        what was removed.
        """
        kept_bytes, removed = 0, []
        # What must stay comes first, so that the room is counted for it.
        for item in sorted(self.held(), key=lambda held: held.path.name not in keep):
            fits = item.path.name in keep or kept_bytes + item.size_bytes <= self.limit_bytes
            if (fits and not item.problem) or _is_in_use(item.path):
                kept_bytes += item.size_bytes
            else:
                self._remove(item.path)
                removed.append(item)
        return tuple(removed)

    @contextmanager
    def locked(self, timeout_s: float = 60.0) -> Iterator[None]:
        """Hold the store's lock: one process builds, saves and removes. The system frees it when one dies.

        Raises BackendError where another has held it for longer than `timeout_s`.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock.held(self.root / box_key.LOCK_NAME, timeout_s))
            except TimeoutError as error:
                raise BackendError(
                    f"another process has held the engine store {self.root} for over {timeout_s:g} s",
                    "wait until its build has ended",
                ) from error
            shutil.rmtree(self.root / _WORK, ignore_errors=True)
            yield

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder on the store's own disk, gone afterwards. Call it `locked`."""
        with _disk(self.root):
            (self.root / _WORK).mkdir(mode=0o700, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.root / _WORK))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _open(self, folder: Path) -> tuple[BinaryIO, Any] | None:
        """The record's handle, locked against pruning, and what it says; its signature was found right."""
        try:
            record = sealed.open_record(folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BundleFormatError(f"{folder.name[:12]}… cannot be read: {error.strerror}") from error
        try:
            fcntl.flock(record, fcntl.LOCK_SH)
            return record, sealed.check_record(record, folder, self._public)
        except BaseException:
            record.close()
            raise

    def _publish(self, target: Path, name: str, data: bytes, record: BuildRecord | TimingRecord) -> None:
        with self.workplace() as work:
            fresh = work / target.name
            fresh.mkdir(mode=0o700)
            sealed.seal(fresh, name, data, dataclasses.asdict(record), self._key)
            publish_folder(fresh, target)

    def _checked(self, digest: str) -> StoredEngine | None:
        folder = self.root / _ENGINES / digest
        opened = self._open(folder)
        if opened is None:
            return None
        lease, table = opened
        try:
            record = strict.build(BuildRecord, table, sealed.RECORD_NAME)
            if record.key.digest != digest:
                raise BundleFormatError(f"the engine in {digest[:12]}… was built for another key")
            data = sealed.read_file(folder / ENGINE_NAME, record.sha256, record.size_bytes)
        except BaseException:
            lease.close()
            raise
        return StoredEngine(record, data, lease)

    def _look(self, folder: Path) -> Held:
        held = _measure(folder)
        try:
            found = self._checked(folder.name)
        except BundleError as error:
            return dataclasses.replace(held, problem=str(error))
        if found is None:
            return dataclasses.replace(held, problem="it has no record")
        found.lease.close()
        return dataclasses.replace(held, record=found.record)

    def _remove(self, folder: Path) -> None:
        """Out of its place in one step, then gone."""
        if os.path.lexists(folder):
            with self.workplace() as work:
                folder.rename(work / folder.name)
                sync_folder(folder.parent)


def _is_in_use(folder: Path) -> bool:
    """Whether a process holds the engine that it has loaded from there."""
    try:
        with sealed.open_record(folder) as record:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, BundleError):
        return False
    return False


def _measure(folder: Path) -> Held:
    files = [path.lstat() for path in folder.iterdir()] if folder.is_dir() and not folder.is_symlink() else []
    return Held(folder, sum(status.st_size for status in files), folder.lstat().st_mtime)


def _touch(folder: Path) -> None:
    with suppress(OSError):
        os.utime(folder)


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"cannot work on the engine store {root}: {error.strerror or error}",
            "check the disk's free space and the folder's owner, or choose another --store",
        ) from error
