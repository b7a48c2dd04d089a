"""The inference process: `python -m device_app.worker`, started and watched by device_app.supervisor.

It alone parses what people send and runs the model, so that a picture which kills it takes down neither
the screens nor the queue. It ends itself when its parent does, after every engine has failed and when one
hangs: the next one starts with the signature check and the self-test again. An engine that fails otherwise
is replaced by the next that passed (runtime.standby).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from device_app import engine_report, facts
from device_app.config import KioskConfig
from device_app.gray_values import pack, view_facts
from device_app.limits_text import limits_text
from device_app.pictures import THUMB_SIDE_PX, heat_png, reduced_pixels, screen_png
from device_app.protocol import EXIT_CANNOT_ANSWER, EXIT_ENGINE_FAILED, EXIT_STOPPED, STOP, WorkerArguments
from device_app.status import RETIRED, Phase
from device_app.store import DATABASE_NAME, Store, open_store
from device_app.store.database import DatabaseUnusableError, check_integrity
from device_app.store.queue import Claim, FailureCode, ReadResult
from device_app.store.site_points import SitePointsError, given_points
from device_app.update.state import BUILT_ENGINES
from device_app.whose import Ahead, settle
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.detector import Detector
from runtime.errors import DiskFullError, StoreError, UlnaError
from runtime.findings import Findings, RefusalCode
from runtime.metadata import PatientFacts
from runtime.photograph import rectify
from runtime.radiograph import FileSays, Radiograph
from runtime.readers import read_bytes
from runtime.selftest import Choice, SelfTestPlan, choose
from runtime.service_record import ServiceRecord
from runtime.standby import Places, open_detector
from runtime.trt_build.progress import BuildProgress, Listener
from runtime.trust import TrustStore

_log = logging.getLogger("ulna.worker")
_ALIVE_EVERY_S = 5.0
_NO_ROOM_PAUSE_S = 10.0
_ENGINES = "engines"
_SAID_EVERY_S = 1.0
_NICENESS = 10  # the screens come first


class Reports:
    """Lines of JSON to the supervisor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: str, **facts: str) -> None:
        """One line, written whole."""
        os.write(self._descriptor, json.dumps({"event": event, **facts}).encode() + b"\n")


class Orders:
    """Bytes from the supervisor on standard input; when it is gone, so are we."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self.stopping = False
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Until something was queued, a stop was ordered or the time is over."""
        self._woken.wait(seconds)
        self._woken.clear()

    def _listen(self) -> None:
        while orders := os.read(sys.stdin.fileno(), 64):
            self.stopping = self.stopping or STOP in orders
            self._woken.set()
        os._exit(EXIT_STOPPED)  # the lease is given back when the kiosk starts again


def main(argv: list[str] | None = None) -> int:
    """Read pictures until told to stop; the exit code says why it ended."""
    arguments = WorkerArguments.from_argv(sys.argv[1:] if argv is None else argv)
    _confine(arguments.memory_bytes)
    reports, orders = Reports(arguments.report_fd), Orders()
    reader: Reader | None = None
    try:
        store = _open_store(arguments)
        reader = _open_reader(arguments, reports)
        reader.take_points(store)
        reader.report(reports)
    except Exception as error:  # whatever is wrong, the screens must say so
        _say_why_not(reports, error, reader)
        return EXIT_CANNOT_ANSWER
    try:
        return _work(arguments.owner, store, reader, reports, orders)
    except (DatabaseUnusableError, DiskFullError, SitePointsError) as error:  # no picture's fault
        _say_why_not(reports, error, reader)
        return EXIT_CANNOT_ANSWER
    finally:
        reader.detector.close()
        store.close()


def read_picture(claim: Claim, store: Store, detector: Detector) -> ReadResult:
    """Read one claimed picture and store what the screens need of it; the answer is not yet stored.

    Before it is decoded it stands among the views of its study, whatever becomes of it then.

    The picture is on the screens before the engine looks at it. What lies there of an earlier try that was
    cut short is replaced.

    Raises EngineFailedError when the engine gave no answer, StoreError when the picture is lost,
    DiskFullError for no room.
    """
    data = store.files.read(claim.sha256)
    seen = _Sent(data, facts.of_text(claim.facts_json), claim.photographed)
    tell = _Tell(
        partial(settle, store, claim.image_id, claim.facts_json), partial(_store_pictures, claim, store)
    )
    findings = _look(seen, detector, tell)
    if findings.refusal is not None and findings.refusal.code is RefusalCode.ENGINE:
        raise EngineFailedError(findings.refusal.message)
    if findings.evidence is not None:
        heat = heat_png(findings.evidence, findings.width_px, findings.height_px)
        store.files.write_derived(claim.sha256, "heat", heat)
    # By this, too, views will become one answer.
    more: dict[str, object] = {"examination": asdict(detector.spec.examination)}
    if findings.operating_points not in (None, detector.spec.operating_points):
        more["bundle_points"] = asdict(detector.spec.operating_points)  # those that a site's stood in for
    return ReadResult(
        verdict=str(findings.verdict),
        findings_json=json.dumps({**findings.to_json(), **more}, allow_nan=False),
        bundle_sha256=findings.provenance.bundle_sha256,
        thresholds_sha256=findings.provenance.thresholds_sha256,
    )


class Reader:
    """The detector, and what the screens are told of the engine that is at work in it."""

    def __init__(self, bundle: Bundle, choice: Choice, record: ServiceRecord, detector: Detector) -> None:
        self._bundle, self._choice, self._record = bundle, choice, record
        self.detector = detector
        self._reported = ("", "")

    def take_points(self, store: Store) -> None:
        """Decide by the site's limits from the next picture on. Raises SitePointsError, StoreError."""
        self.detector.given = given_points(store.database, self._bundle.digest)

    def report(self, reports: Reports) -> None:
        """Say that it is ready, once, and again when another engine or other limits are at work."""
        known = self.facts()
        now = (known["engine"], known["limits"])
        if now != self._reported:
            self._reported = now
            reports.send(str(Phase.READY), **known)

    def facts(self) -> dict[str, str]:
        """What the screens know of bundle and engine."""
        source, manifest = self.detector.spec.provenance, self._bundle.manifest
        return {
            "engine": f"{source.engine}-{source.precision}",
            "engine_reason": self._reason(),
            "bundle_name": manifest.name,
            "bundle_version": manifest.version,
            "bundle_sha256": self._bundle.digest,
            "asks": facts.spec_text(manifest.metadata),
            "limits": limits_text(self.detector),
            "engines": engine_report.text_of(self._choice.results),
            "made_utc": manifest.created_utc,
        }

    def _reason(self) -> str:
        out = [f"{one.key} {RETIRED}: {one.reason}" for one in self._record.retired()]
        return "; ".join([self._choice.reason, *out])


class EngineFailedError(Exception):
    """The engine failed over a picture; it must pass the self-test again before it answers."""


@dataclass(frozen=True)
class _Sent:
    """What came with a picture; see store.queue.Claim."""

    data: bytes
    said: PatientFacts
    photographed: bool


@dataclass(frozen=True)
class _Tell:
    """Who is told what is known before the answer is. whose: of the header, before anything is decoded.
    show: the picture as soon as it is read, of a photograph the film that is in it.
    """

    whose: Callable[[FileSays], None]
    show: Callable[[Radiograph], None]


def _look(sent: _Sent, detector: Detector, tell: _Tell) -> Findings:
    show = tell.show
    try:
        read = read_bytes(sent.data, listener=tell.whose)
    except StoreError:
        raise
    except Exception as error:
        return detector.refuse(error, sent.data)  # whatever it was, the detector has the words for it
    try:
        radiograph = rectify(read).radiograph if sent.photographed else read
    except Exception as error:
        _show(show, read)  # so that a nurse sees what was wrong with the photograph
        return detector.refuse(error, sent.data)
    _show(show, radiograph)
    return detector.detect(radiograph, sent.said)


def _show(show: Callable[[Radiograph], None], radiograph: Radiograph) -> None:
    try:
        show(radiograph)
    except StoreError:
        raise
    except Exception as error:  # costs the screen its picture, never the patient the answer
        _log.error("a picture cannot be shown: %s", type(error).__name__)


def _store_pictures(claim: Claim, store: Store, radiograph: Radiograph) -> None:
    """Its facts first: a screen that finds the picture finds what it needs to show it."""
    write = partial(store.files.write_derived, claim.sha256)
    write("facts", view_facts(radiograph).to_json())
    write("screen", screen_png(radiograph))
    write("thumb", screen_png(radiograph, THUMB_SIDE_PX))
    write("values", pack(reduced_pixels(radiograph)))


def _work(owner: str, store: Store, reader: Reader, reports: Reports, orders: Orders) -> int:
    detector, ahead = reader.detector, Ahead(store)
    while not orders.stopping:
        reader.take_points(store)  # before a picture is taken, which is then not lost if this fails
        reader.report(reports)
        ahead.look()
        try:
            claim = store.queue.claim(owner)
        except DiskFullError as error:
            _wait_for_room(owner, store, reports, orders, error)
            continue
        if claim is None:
            reports.send("idle")
            orders.wait(_ALIVE_EVERY_S)
            continue
        reports.send("working")
        try:
            store.queue.complete(claim, read_picture(claim, store, detector))
        except EngineFailedError as error:
            store.queue.abandon(owner, FailureCode.ENGINE, str(error))
            return EXIT_ENGINE_FAILED
        except DiskFullError as error:
            _wait_for_room(owner, store, reports, orders, error)
        except DatabaseUnusableError:
            raise
        except StoreError as error:
            store.queue.fail(claim, FailureCode.FILE_LOST, str(error))
        else:
            reports.send("done")
        if detector.must_end:
            return EXIT_ENGINE_FAILED
        detector.tend()
        reader.report(reports)
    store.queue.release(owner)
    return EXIT_STOPPED


def _wait_for_room(owner: str, store: Store, reports: Reports, orders: Orders, error: DiskFullError) -> None:
    """Until its picture is back in the queue: on a full disk not even that can be written."""
    given_back = False
    while not (given_back or orders.stopping):
        with contextlib.suppress(DiskFullError):
            store.queue.release(owner)
            given_back = True
        reports.send("no_room", reason=str(error), hint=error.hint)
        orders.wait(_NO_ROOM_PAUSE_S)


def _open_store(arguments: WorkerArguments) -> Store:
    """The store, looked through: ready is only said over a database that can take the answers."""
    check_integrity(arguments.data_dir / DATABASE_NAME)
    return open_store(KioskConfig(arguments.bundle, arguments.data_dir))


def _open_reader(arguments: WorkerArguments, reports: Reports) -> Reader:
    trust = TrustStore.from_paths(*arguments.trust) if arguments.trust else None
    bundle = open_bundle(arguments.bundle, trust)
    options = BackendOptions(threads=arguments.threads)
    record = ServiceRecord(arguments.data_dir / _ENGINES, bundle.digest)
    built = arguments.data_dir / BUILT_ENGINES
    choice = choose(bundle, options, SelfTestPlan(engines=built, building=_heartbeat(reports)))
    return Reader(bundle, choice, record, open_detector(bundle, choice, options, Places(record, built)))


def _heartbeat(reports: Reports) -> Listener:
    """Building an engine may take far longer than a start may: while it goes on, it says so."""
    said = 0.0

    def say(now: BuildProgress) -> None:
        nonlocal said
        if time.monotonic() - said >= _SAID_EVERY_S:
            said = time.monotonic()
            done = f"{now.phase}, {now.done} of {now.total}"
            reports.send(str(Phase.STARTING), engine_reason=f"an engine is being built: {done}")

    return say


def _say_why_not(reports: Reports, error: Exception, reader: Reader | None = None) -> None:
    reason = str(error) if isinstance(error, UlnaError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, UlnaError) else ""
    known = {} if reader is None else reader.facts()  # some of it is mended on a page about this model
    reports.send(str(Phase.CANNOT_ANSWER), **{**known, "reason": reason, "hint": hint})


def _confine(memory_bytes: int) -> None:
    """Limit memory, give way to the screens, and leave signals to the supervisor's orders."""
    # RLIMIT_DATA counts private writable memory; RLIMIT_AS would also count what GPU drivers reserve.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patients' pictures
    os.nice(_NICENESS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    os._exit(main())  # everything is closed; an engine that hangs would make the ordinary way out a crash
