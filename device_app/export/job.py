"""One export, picture by picture: prepared anew, compared with what was shown, logged, written.

Memory does not grow with the number of pictures: each is forgotten once it is written, the tables lie in
files without a name until the end.
"""

from __future__ import annotations

import io
import secrets
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from device_app.answers import ANSWERED, answer
from device_app.export.dicom_file import Names, Origin, dicom_file
from device_app.export.prepared import Prepared, Stays, StaysError, prepare
from device_app.export.pseudonyms import Pseudonyms
from device_app.export.readme import README
from device_app.export.seen import Seen
from device_app.export.tables import Leaving, case_line, label_head, label_row
from device_app.export.target import Target
from device_app.store import Store
from device_app.store.consent import Consented, Consents
from device_app.store.log import Action

_LOSSY = ("jpeg", "webp")


@dataclass(frozen=True)
class Parts:
    """What an export works with."""

    store: Store
    consents: Consents
    pseudonyms: Pseudonyms
    seen: Seen


@dataclass(frozen=True)
class Counts:
    """How far an export is: pictures to look at, looked at, and kept back."""

    total: int = 0
    done: int = 0
    kept: int = 0


class Export:
    """actor: who has asked for it. report: hears how far it is, after each picture."""

    def __init__(self, parts: Parts, actor: str, report: Callable[[Counts], None]) -> None:
        self._parts, self._actor, self._report = parts, actor, report
        self.name = secrets.token_hex(6)
        self.image_ids: list[int] = []
        """Of what has left."""
        self._counts = Counts()

    def run(self, target: Target, stopping: threading.Event) -> str:
        """All pictures that were let go; the name of what was made, "" where it was stopped.

        Raises TargetError, and whatever the store raises; the target is left unfinished then.
        """
        ended = "failed"
        try:
            with ExitStack() as open_files:
                made = self._write(target, stopping, _Tables(self._parts, open_files))
            ended = "done" if made else "stopped"
            return made
        finally:
            if ended != "done":
                target.leave()
            counts = {"pictures": self._counts.done - self._counts.kept, "kept": self._counts.kept}
            detail = {"export": self.name, "ended": ended, **counts}
            self._parts.store.log.note(self._actor, Action.CASES_EXPORTED, self.name, **detail)

    def _write(self, target: Target, stopping: threading.Event, tables: _Tables) -> str:
        waiting = self._in_their_order()
        self._counts = Counts(len(waiting))
        for number, image_id in enumerate(waiting, start=1):
            self._report(self._counts)
            if stopping.is_set():
                return ""
            kept = not self._one(image_id, f"images/{number:06}.dcm", target, tables)
            self._counts = Counts(len(waiting), number, self._counts.kept + kept)
        self._report(self._counts)
        tables.add_to(target)
        return target.finish()

    def _in_their_order(self) -> list[int]:
        """By their random names: the order in which patients came would tell something of them."""
        names = {}
        for image_id in self._parts.seen.leaving():
            found = self._parts.consents.find(image_id)
            if found is None:
                self._parts.seen.keep(image_id, Stays.WITHDRAWN)
            else:
                names[image_id] = self._parts.pseudonyms.image(found)
        return sorted(names, key=names.__getitem__)

    def _one(self, image_id: int, name: str, target: Target, tables: _Tables) -> bool:
        """Whether it left."""
        parts = self._parts
        shown = parts.seen.get(image_id)
        if shown is None or not shown.leaves:
            return False  # it was taken back since the export began
        try:
            found = parts.consents.find(image_id)
            if found is None:
                raise StaysError(Stays.WITHDRAWN)
            prepared = prepare(found, parts.store)
            leaving = self._leaving(found, name, prepared, shown.pixels_sha256)
            data = _file_of(leaving, found)
            if not parts.consents.release(image_id, self.name, self._actor):
                raise StaysError(Stays.WITHDRAWN)
        except StaysError as error:
            parts.seen.keep(image_id, error.why)
            return False
        tables.add(leaving, target.add(name, io.BytesIO(data)))
        self.image_ids.append(image_id)
        return True

    def _leaving(self, found: Consented, name: str, prepared: Prepared, pixels_sha256: str) -> Leaving:
        """pixels_sha256: of what an administrator was shown. Raises StaysError."""
        parts = self._parts
        if prepared.pixels_sha256 != pixels_sha256 or prepared.over:
            raise StaysError(Stays.CHANGED)
        examination = parts.store.records.examination(found.examination)
        images = examination.images if examination else ()
        box = next((answer(image) for image in images if image.id == found.image_id), None)
        if box is None or box.state not in ANSWERED:
            raise StaysError(Stays.UNREADABLE)
        names = Names(*(name_of(found) for name_of in _names_of(parts.pseudonyms)))
        readings = parts.store.readings.of(found.examination)
        image_id, photographed = found.image_id, found.photographed
        return Leaving(name, image_id, names, prepared, box, readings, len(images), photographed)


def _names_of(pseudonyms: Pseudonyms) -> tuple[Callable[[Consented], str], ...]:
    return pseudonyms.patient, pseudonyms.study, pseudonyms.series, pseudonyms.image


def _file_of(leaving: Leaving, found: Consented) -> bytes:
    ratio = _ratio(leaving.prepared, found.source_bytes)
    prepared = leaving.prepared
    return dicom_file(prepared.radiograph, prepared.told, leaving.names, Origin(found.photographed, ratio))


def _ratio(prepared: Prepared, source_bytes: int) -> float | None:
    if prepared.radiograph.format not in _LOSSY:
        return None
    return max(1.0, prepared.radiograph.pixels.size / source_bytes)


class _Tables:
    """cases.jsonl, labels.csv and SHA256SUMS while they grow."""

    def __init__(self, parts: Parts, open_files: ExitStack) -> None:
        self._pseudonyms = parts.pseudonyms
        folder = parts.store.files.incoming
        self._cases, self._labels, self._sums = (_unnamed(folder, open_files) for _ in range(3))
        self._labels.write(label_head().encode())

    def add(self, leaving: Leaving, sha256: str) -> None:
        self._cases.write(case_line(leaving, self._pseudonyms).encode())
        self._labels.write(label_row(leaving).encode())
        self._sum(leaving.name, sha256)

    def add_to(self, target: Target) -> None:
        """SHA256SUMS comes last: where it is, all else is."""
        files = (("cases.jsonl", self._cases), ("labels.csv", self._labels))
        for name, stream in (*files, ("README.txt", io.BytesIO(README.encode()))):
            self._sum(name, target.add(name, _from_its_beginning(stream)))
        target.add("SHA256SUMS", _from_its_beginning(self._sums))

    def _sum(self, name: str, sha256: str) -> None:
        self._sums.write(f"{sha256}  {name}\n".encode())


def _unnamed(folder: Path, open_files: ExitStack) -> IO[bytes]:
    """A file without a name: it is gone with the export, however that ends."""
    return open_files.enter_context(tempfile.TemporaryFile(dir=folder))


def _from_its_beginning(stream: IO[bytes]) -> IO[bytes]:
    stream.seek(0)
    return stream
