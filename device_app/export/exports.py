"""Looking at pictures before they leave, and letting them leave: two threads and what screens show."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import secrets
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from device_app.config import KioskConfig
from device_app.export.job import Counts, Export, Parts
from device_app.export.prepared import Prepared, Stays, StaysError, prepare
from device_app.export.preview import preview_png
from device_app.export.pseudonyms import Pseudonyms, export_key
from device_app.export.ready_zip import Ready, ReadyZip
from device_app.export.seen import Seen, Shown
from device_app.export.target import Fault, StickFolder, Target, TargetError, ZipFile
from device_app.intake.stick import Stick
from device_app.store import Store
from device_app.store.consent import Consents
from runtime.errors import StoreError

_log = logging.getLogger(__name__)
MOST_ZIP_BYTES = 4 << 30
_KEPT_BYTES = 64 << 20
"""Of pictures that were looked at."""
_LOOK_AT_ZIP_EVERY_S = 600.0
_JOIN_S = 10.0
_LOOKED_AT_AGAIN = (Stays.CHANGED, Stays.UNREADABLE, Stays.WITHDRAWN)
"""What keeps these here may have passed."""


class Phase(StrEnum):
    """Of an export."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class State:
    """What the page says. made: name of the folder or zip. place: name of the stick, "" for a download."""

    phase: Phase = Phase.NONE
    counts: Counts = field(default_factory=Counts)
    fault: Fault | None = None
    made: str = ""
    place: str = ""


def can_write_dicom() -> bool:
    """Whether pydicom is installed."""
    return importlib.util.find_spec("pydicom") is not None


class Exports:
    """Of one kiosk; one export at a time."""

    def __init__(self, config: KioskConfig, store: Store) -> None:
        self._config, self._store = config, store
        self.consents, self.seen = Consents(store.database), Seen()
        self.zip = ReadyZip(self.consents)
        self.state = State()
        self._lock = threading.Lock()
        self._stopping, self._ending = threading.Event(), threading.Event()
        self._looking: threading.Thread | None = None
        self._running: threading.Thread | None = None
        self._pictures: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        atexit.register(_end, weakref.ref(self))

    def look(self) -> None:
        """Begin to work out what would leave of every picture that is not known yet; returns at once."""
        with self._lock:
            if self._looking is None or not self._looking.is_alive():
                self._looking = threading.Thread(target=self._look, name="export-look", daemon=True)
                self._looking.start()

    def picture(self, image_id: int, kind: str, who: str) -> bytes | None:
        """A PNG of exactly the pixels that would leave, for the screen of somebody, who may then let them go;
        None for a picture that may not be exported.
        """
        self.settle()
        if self.consents.find(image_id) is None:
            return None
        shown = self.seen.get(image_id)
        digest = shown.pixels_sha256 if shown else ""
        with self._lock:
            kept = self._pictures.get((kind, digest))
        if kept is None:
            prepared = self._prepared(image_id)
            if prepared is None:
                return None
            kept, digest = self._kept(kind, prepared), prepared.pixels_sha256
        self.seen.serve(image_id, digest, who)
        return kept

    def give(self, examination: str, actor: str) -> None:
        """The patient agrees; what was seen while she did before counts no longer. Raises InputError."""
        self.consents.give(examination, actor)
        self.settle()

    def withdraw(self, examination: str, actor: str) -> None:
        """The patient agrees no longer; a zip that holds her pictures goes with it. Raises InputError."""
        self.consents.withdraw(examination, actor)
        self.settle()
        self.zip.get()

    def settle(self) -> None:
        """Forget what was seen under a consent that is over, however it ended: an added view ends it too."""
        self.seen.only(self.consents.agreed())

    def leaving(self) -> list[int]:
        """Those that were let go and whose patient still agrees."""
        self.settle()
        return self.seen.leaving()

    def start(self, actor: str, stick: Stick | None) -> bool:
        """Begin an export to a stick, or to a zip; False where one is under way or nothing was let go."""
        leaving = self.leaving()
        with self._lock:
            is_busy = self._running is not None and self._running.is_alive()
            if is_busy or not leaving:
                return False
            self._stopping.clear()
            self.state = State(Phase.RUNNING, place=stick.name if stick else "")
            job = threading.Thread(target=self._run, args=(actor, stick), name="export", daemon=True)
            self._running = job
            job.start()
            return True

    def stop(self) -> None:
        """After the picture that is being written."""
        self._stopping.set()

    def end(self) -> None:
        """End both threads; an export stops as if somebody had asked for it."""
        self._ending.set()
        self._stopping.set()
        self.wait(_JOIN_S)

    def wait(self, seconds: float) -> None:
        """Until both threads have ended."""
        for thread in (self._looking, self._running):
            if thread is not None:
                thread.join(seconds)

    def _look(self) -> None:
        try:
            self.settle()
            for image_id in self.consents.image_ids():
                if self._ending.is_set():
                    return
                shown = self.seen.get(image_id)
                if shown is None or shown.stays in _LOOKED_AT_AGAIN:
                    self._prepared(image_id)
        except Exception as error:  # this thread must not take the kiosk with it; the page asks again
            _log.error("preparing an export: unexpected %s", type(error).__name__)

    def _prepared(self, image_id: int) -> Prepared | None:
        """None for one that may not be exported or cannot be read."""
        found = self.consents.find(image_id)
        if found is None:
            return None
        try:
            prepared = prepare(found, self._store)
        except StaysError as error:
            self.seen.keep(image_id, error.why)
            return None
        radiograph = prepared.radiograph
        shown = Shown(
            Stays.WRITING if prepared.over else None,
            None,
            prepared.pixels_sha256,
            radiograph.width_px,
            radiograph.height_px,
            prepared.blanked,
            prepared.over,
        )
        self.seen.note(image_id, shown)
        return prepared

    def _kept(self, kind: str, prepared: Prepared) -> bytes:
        """By its pixels: another picture is never shown in the place of what would leave."""
        png = preview_png(prepared, kind)
        with self._lock:
            self._pictures[kind, prepared.pixels_sha256] = png
            while sum(map(len, self._pictures.values())) > _KEPT_BYTES:
                self._pictures.popitem(last=False)
        return png

    def _run(self, actor: str, stick: Stick | None) -> None:
        try:
            pseudonyms = Pseudonyms(export_key(self._config.data_dir))
            parts = Parts(self._store, self.consents, pseudonyms, self.seen)
            target, export = self._target(stick), Export(parts, actor, self._report)
            made = export.run(target, self._stopping)
            if made and isinstance(target, ZipFile):
                self._watch(self.zip.keep(target.path, export.name, export.image_ids))
            phase = Phase.DONE if made else Phase.STOPPED
            self.state = replace(self.state, phase=phase, made=made)
        except TargetError as error:
            self.state = replace(self.state, phase=Phase.FAILED, fault=error.fault)
        except Exception as error:  # this thread must say that it has failed, whatever happens
            _log.error("export: unexpected %s", type(error).__name__)
            self.state = replace(self.state, phase=Phase.FAILED, fault=Fault.FAILED)

    def _report(self, counts: Counts) -> None:
        self.state = replace(self.state, counts=counts)

    def _target(self, stick: Stick | None) -> Target:
        if stick is not None:
            return StickFolder(stick.mount, stick.root, f"{datetime.now():%Y-%m-%d}")
        self.zip.remove()
        path = self._store.files.incoming / f"ulna-cases-{secrets.token_hex(4)}.zip"
        return ZipFile(path, MOST_ZIP_BYTES, self._config.reserve_bytes)

    def _watch(self, ready: Ready) -> None:
        """A picture's time may be over, and a day, while nobody opens a page."""

        def look() -> None:
            while not self._ending.wait(_LOOK_AT_ZIP_EVERY_S) and not self._is_over(ready):
                pass

        threading.Thread(target=look, name="export-zip", daemon=True).start()

    def _is_over(self, ready: Ready) -> bool:
        try:
            return self.zip.get() is not ready
        except StoreError as error:  # nobody can fetch it now either
            _log.error("the zip of an export: %s", error)
            return False


def _end(exports: weakref.ref[Exports]) -> None:
    """A thread within a library's code at the end of the process would end it by a signal."""
    found = exports()
    if found is not None:
        found.end()
