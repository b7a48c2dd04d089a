"""Whether the box can be trusted now: for machines (/health), for people (/box), for the pages' script."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flask import Blueprint, current_app, jsonify, render_template
from flask.typing import ResponseReturnValue

from device_app import storage_words
from device_app.access.gate import is_at_the_box, open_to, signed_in
from device_app.access.roles import Role
from device_app.encryption import encryption_of
from device_app.intake import words as source_words
from device_app.intake.sources import SourceKind, SourceState, sources_of
from device_app.monitoring import words as watch_words
from device_app.monitoring.book import alarms
from device_app.monitoring.missing import Missing, missing_of
from device_app.monitoring.state import Level, level, reasons
from device_app.status import Phase, ReaderStatus
from device_app.store.aside import lying_aside
from device_app.store.copies import copies, made_utc
from device_app.store.queue import QueueCounts
from device_app.views.monitor import box_now, expectation_now
from device_app.web import kiosk
from runtime.errors import StoreError

blueprint = Blueprint("health", __name__)
_ON_DISK = (SourceKind.FOLDER, SourceKind.STICK)


@dataclass(frozen=True)
class Health:
    """`healthy` only when pictures are being read and new ones would be stored; `room`: on the disk.

    missing: pictures that are to be on the disk and are not. Some that are lost make no box unhealthy for
    ever; where not one is there a disk may not be connected, and new ones would be stored beside it.
    sources: the ways in besides the upload screen. One in trouble makes no box unhealthy: it reads what is
    sent from the screens. People are told of it (device_app.monitoring.state).
    """

    healthy: bool
    reader: ReaderStatus
    queue: QueueCounts
    disk_free_bytes: int
    room: bool
    intake_open: bool
    sources: tuple[SourceState, ...]
    missing: Missing


def look() -> Health:
    """How the box is at this moment."""
    box = kiosk()
    reader, counts = box.reader.status(), box.store.queue.counts()
    free, room = box.store.records.free_bytes(), box.store.records.has_room()
    is_open = room and counts.waiting < box.config.max_waiting
    missing = missing_of(current_app).found
    healthy = reader.phase is Phase.READY and is_open and not missing.is_all
    return Health(healthy, reader, counts, free, room, is_open, _sources(), missing)


def _sources() -> tuple[SourceState, ...]:
    """Where on the disk they are is told on the box itself, and to who looks after it."""
    states = sources_of(current_app).all()
    if is_at_the_box() or ((person := signed_in()) and person.role.may(Role.ADMINISTRATOR)):
        return states
    return tuple(replace(one, place="") if one.kind in _ON_DISK else one for one in states)


@blueprint.get("/healthz")
@blueprint.get("/health")
@open_to(Role.ANYONE)
def machine() -> ResponseReturnValue:
    """JSON; 200 when healthy, 503 otherwise."""
    try:
        health = look()
        drift = alarms(kiosk().store, health.reader.bundle_sha256, expectation_now())
    except StoreError as error:
        reader = asdict(kiosk().reader.status())
        why = {"error": str(error), "hint": error.hint}
        return jsonify(healthy=False, intake_open=False, reader=reader, **why), 503
    return jsonify(alarms=drift, **asdict(health)), 200 if health.healthy else 503


@blueprint.get("/box")
@open_to(Role.ANYONE)
def page() -> ResponseReturnValue:
    """The same for a person."""
    folder = kiosk().config.data_dir
    newest = next(iter(copies(folder)), None)
    disk = {"encryption": encryption_of(folder), "copied": newest and made_utc(newest)}
    aside = lying_aside(kiosk().store.files)
    words = {"source_words": source_words, "storage_words": storage_words, "watch_words": watch_words}
    against = reasons(box_now())
    judged = {"against": against, "level": level(against), "Level": Level}
    return render_template("box.html", health=look(), aside=aside, **judged, **disk, **words)


@blueprint.get("/box/banner")
@open_to(Role.ANYONE)
def banner() -> ResponseReturnValue:
    """The status line that every page shows, for its script to renew."""
    return render_template("_banner.html")
