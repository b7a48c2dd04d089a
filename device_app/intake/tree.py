"""Looking into a folder that others write to, without ever leaving it: no link is followed, and what is
opened is what was seen.

Folders are held by descriptors, so that one which is replaced by a link between two steps is not entered.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from device_app.intake.door import SourceFailedError
from device_app.intake.steady import Found, Signature, is_passed_over

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Non-blocking: a file that has become a pipe must not hold the thread.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class TreeLimits:
    """files: taken note of in one look. entries: looked at. depth: of folders below the root."""

    files: int = 5000
    entries: int = 50_000
    depth: int = 8


def _any(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Rules:
    """What a look leaves alone, by names only.

    passes_over: of files and folders. takes: of files; those that are not taken are not counted as files.
    beside: names right in the root that are left alone. sweep_after_s: empty folders that have not changed
    for so long are removed; None to change nothing.
    """

    passes_over: Callable[[str], bool] = is_passed_over
    takes: Callable[[str], bool] = _any
    beside: tuple[str, ...] = ()
    sweep_after_s: float | None = None


@dataclass(frozen=True)
class Seen:
    """What a look found; `complete` unless a limit ended it. unreadable: things that it could not look at."""

    files: tuple[Found, ...]
    complete: bool
    unreadable: int = 0


class _Walk:
    """One look."""

    def __init__(self, rules: Rules, limits: TreeLimits) -> None:
        self._rules, self._limits = rules, limits
        self._entries = 0
        self.files: list[Found] = []
        self.complete = True
        self.unreadable = 0

    def look(self, folder: int, parts: tuple[str, ...] = ()) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                self._entries += 1
                if self._entries > self._limits.entries or len(self.files) >= self._limits.files:
                    self.complete = False
                    return
                left_alone = not parts and entry.name in self._rules.beside
                if not left_alone and not self._rules.passes_over(entry.name):
                    self._note(folder, entry, (*parts, entry.name))

    def _note(self, folder: int, entry: os.DirEntry[str], parts: tuple[str, ...]) -> None:
        try:
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode) and self._rules.takes(entry.name):
                self.files.append(Found(parts, Signature.of(facts)))
            elif stat.S_ISDIR(facts.st_mode):
                self._enter(folder, parts)
        except OSError as error:
            # What has just gone, or is another thing by now, is seen at the next look.
            self.unreadable += error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

    def _enter(self, folder: int, parts: tuple[str, ...]) -> None:
        if len(parts) > self._limits.depth:
            self.complete = False
            return
        below = os.open(parts[-1], _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
        entries = self._entries
        try:
            self.look(below, parts)
            modified_s = os.fstat(below).st_mtime
        finally:
            os.close(below)
        if self._entries == entries and self._is_swept(modified_s):
            with suppress(OSError):  # filled in the meantime, or not ours to remove
                os.rmdir(parts[-1], dir_fd=folder)

    def _is_swept(self, modified_s: float) -> bool:
        after_s = self._rules.sweep_after_s
        return after_s is not None and time.time() - modified_s > after_s


def look(root: Path, rules: Rules, limits: TreeLimits) -> Seen:
    """The regular files below a folder. Raises OSError for one that is not there or cannot be read."""
    walk = _Walk(rules, limits)
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        walk.look(folder)
    finally:
        os.close(folder)
    return Seen(tuple(walk.files), walk.complete, walk.unreadable)


@contextmanager
def folder_of(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of the folder that holds a file. Raises OSError where a link stands on the way."""
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        for name in parts[:-1]:
            below = os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


class SteadyStream:
    """The bytes of a found file. What changes while it is read ends in SourceFailedError, at the latest at
    the end of the file, so that a mixture of old and new is never taken for a picture.
    """

    def __init__(self, descriptor: int, found: Found) -> None:
        self.descriptor, self._found = descriptor, found

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end. Raises SourceFailedError."""
        with _source_failures():
            data = os.read(self.descriptor, size)
            steady = bool(data) or Signature.of(os.fstat(self.descriptor)) == self._found.signature
        if not steady:
            raise SourceFailedError("the file changed while it was read")
        return data

    def head(self, size_bytes: int) -> bytes:
        """The beginning, without moving on. Raises SourceFailedError."""
        with _source_failures():
            return os.pread(self.descriptor, size_bytes, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)


@contextmanager
def _source_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceFailedError(f"the file cannot be read: {error.strerror}") from error


def open_found(root: Path, found: Found) -> SteadyStream:
    """Open what was seen. Raises SourceFailedError when it is gone, forbidden, or something else by now."""
    try:
        with folder_of(root, found.parts) as folder:
            descriptor = os.open(found.name, _FILE_FLAGS, dir_fd=folder)
    except OSError as error:
        raise SourceFailedError(f"the file cannot be opened: {error.strerror}") from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or Signature.of(facts) != found.signature:
        os.close(descriptor)
        raise SourceFailedError("the file has changed since it was seen")
    return SteadyStream(descriptor, found)
