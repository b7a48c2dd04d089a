"""What lies under the paths that were named, as tasks in a fixed order; what is not looked at is counted.

Folders are walked by name, byte by byte. Links are not followed below a folder: their targets lie in it and
are read there, or lie outside. A path that is named itself is followed.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.batch import archives
from runtime.batch.task import Place, Task, place_of
from runtime.errors import InputError, UnreadableImageError

_Device = tuple[int, int]


@dataclass
class NotLookedAt:
    """hidden: files, folders and members whose name begins with a dot; a folder counts once, whatever it
    holds. links: below a folder or in an archive. special: pipes, sockets, devices. own_output: folders that
    this run writes to. repeated: what was named twice.
    """

    hidden: int = 0
    links: int = 0
    special: int = 0
    own_output: int = 0
    repeated: int = 0

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """A file, an archive, what could not be looked into (`error`), or a folder whose list was read."""

    path: Path
    size_bytes: int = 0
    mtime_ns: int = 0
    error: InputError | None = None
    is_listed: bool = False

    @property
    def is_archive(self) -> bool:
        """To be looked into; what is empty or no regular file is the reader's to refuse."""
        return self.size_bytes > 0 and archives.is_archive(self.path)

    def place(self, member: str = "", occurrence: int = 1) -> Place:
        """Of the file, or of a member of the archive."""
        file = str(self.path)
        return Place(file, os.path.abspath(file), member, occurrence, self.size_bytes, self.mtime_ns)  # noqa: PTH100


class Sources:
    """The paths of one run. written: folders that it writes to, which are not read."""

    def __init__(self, paths: Sequence[Path], written: Sequence[Path] = ()) -> None:
        self._paths = paths
        self._written = {_device(folder.stat()) for folder in written if folder.is_dir()}
        self.missed = NotLookedAt()
        self.archives: dict[str, tuple[int, int]] = {}
        """Absolute path of each archive that was looked into -> its size and time of change."""
        self._whole: set[bytes] = set()

    def count(self) -> int | None:
        """How many there are; None where only unpacking an archive tells."""
        self.missed = NotLookedAt()
        total = 0
        for found in list_files(self._paths, self._written, self.missed):
            if found.is_archive and not archives.lists_quickly(found.path):
                return None
            total += sum(1 for _ in self._within(found))
        return total

    def tasks(self, known: Container[bytes], on_known: Callable[[Place], None]) -> Iterator[Task]:
        """All that is not `known` by its identity; `on_known` is told of the others. `missed` counts anew."""
        self.missed = NotLookedAt()
        self._whole.clear()
        seen: set[bytes] = set()
        for found in list_files(self._paths, self._written, self.missed):
            for place, make in self._within(found):
                if place.key in seen:
                    self.missed.repeated += 1
                elif place.identity in known:
                    on_known(place)
                else:
                    yield make()
                seen.add(place.key)

    def _within(self, found: Found) -> Iterator[tuple[Place, Callable[[], Task]]]:
        """The one file, or the members of an archive and, last, what went wrong with it."""
        if found.is_listed:
            self._whole.add(found.place().key)
            return
        if not found.is_archive:
            place = found.place()
            yield place, lambda: Task(place, error=found.error)
            return
        whole = found.place()
        self.archives[whole.path] = whole.size_bytes, whole.mtime_ns
        names: Counter[str] = Counter()
        try:
            for member in archives.members(found.path):
                if self._is_read(member):
                    names[member.name] += 1
                    place = found.place(member.name, names[member.name])
                    yield place, _task_of(place, member)
        except InputError as error:
            reason = error
            yield whole, lambda: Task(whole, error=reason)
        else:
            self._whole.add(whole.key)

    def is_outdated(self, record: dict[str, Any]) -> bool:
        """Whether a line of findings.jsonl is about an archive as it was before it changed, or says of a
        folder or an archive that it could not be read to its end, which `tasks` since did.
        """
        state = record["size_bytes"], record["mtime_ns"]
        changed = self.archives.get(record["path"], state) != state
        return changed or (record["refusal"] is not None and place_of(record).key in self._whole)

    def _is_read(self, member: archives.Member) -> bool:
        if any(is_hidden(part) for part in member.name.split("/")):
            self.missed.hidden += 1
        elif member.kind == "link":
            self.missed.links += 1
        elif member.kind == "special":
            self.missed.special += 1
        else:
            return True
        return False


def is_hidden(name: str) -> bool:
    """One part of a path."""
    return name.startswith(".") and name not in (".", "..")


def list_files(paths: Sequence[Path], written: Container[_Device], missed: NotLookedAt) -> Iterator[Found]:
    """Files and archives, folders and what lies in them; counts in `missed` what is not looked at."""
    for path in paths:
        try:
            facts = path.stat()
        except (OSError, ValueError, RuntimeError):  # the reader says why it cannot be opened
            yield Found(path)
            continue
        if stat.S_ISDIR(facts.st_mode):
            yield from _below(path, written, missed)
        else:
            yield Found(path, facts.st_size, facts.st_mtime_ns)


def _below(folder: Path, written: Container[_Device], missed: NotLookedAt) -> Iterator[Found]:
    waiting: list[os.DirEntry[str] | Path] = [folder]
    while waiting:  # no recursion: a folder may be nested deeper than Python can go
        item = waiting.pop()
        try:
            if isinstance(item, os.DirEntry):
                facts = item.stat(follow_symlinks=False)
                if not stat.S_ISDIR(facts.st_mode):
                    yield Found(Path(item.path), facts.st_size, facts.st_mtime_ns)
                    continue
                if _device(facts) in written:
                    missed.own_output += 1
                    continue
            waiting += sorted(_entries(item, missed), key=lambda entry: os.fsencode(entry.name), reverse=True)
            yield Found(Path(item), is_listed=True)
        except OSError as error:
            yield Found(Path(item), error=_cannot_list(error))


def _entries(folder: os.DirEntry[str] | Path, missed: NotLookedAt) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                missed.hidden += 1
            elif entry.is_symlink():
                missed.links += 1
            elif not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                missed.special += 1
            else:
                yield entry


def _task_of(place: Place, member: archives.Member) -> Callable[[], Task]:
    def make() -> Task:
        try:
            return Task(place, member.read())
        except InputError as error:
            return Task(place, error=error)

    return make


def _cannot_list(error: OSError) -> UnreadableImageError:
    return UnreadableImageError(
        f"the folder cannot be listed: {error.strerror}", "Check who may read it, then run detect again."
    )


def _device(facts: os.stat_result) -> _Device:
    return facts.st_dev, facts.st_ino
