"""The log, for the administrator: a look, a check, and a copy to take away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.audit import START, Anchor, Written
from device_app.language import gettext
from device_app.store.log import Action
from device_app.store.log_end import look_through
from device_app.views.judging import names_of_people
from device_app.web import kiosk
from device_app.words import no_anchor_words
from runtime.errors import InputError

blueprint = Blueprint("log", __name__, url_prefix="/log")
_PAGE_SIZE = 50
_SHOWN_FAULTS = 20
_checking = threading.Lock()
"""A long chain takes seconds of a thread; the kiosk has few."""


@blueprint.get("/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """A page of it, newest first."""
    return _screen()


@blueprint.post("/check")
@open_to(Role.ADMINISTRATOR)
def check() -> ResponseReturnValue:
    """Go through the whole chain, against the end that is known, and an anchor where one is given."""
    text = request.form.get("anchor", "").strip()
    try:
        anchors = (Anchor.of_text(text),) if text else ()
    except InputError:
        return _screen(wrong=no_anchor_words()), 400
    if not _checking.acquire(blocking=False):
        return _screen(wrong=gettext("The log is being checked already. Wait a little.")), 503
    try:
        return _screen(checked=True, found=look_through(kiosk().store.database, anchors))
    finally:
        _checking.release()


@blueprint.post("/export")
@open_to(Role.ADMINISTRATOR)
def export() -> ResponseReturnValue:
    """All of it as lines of JSON, the last of them the anchor; that it was exported is logged before."""
    log = kiosk().store.log
    log.note(actor(), Action.EXPORTED)
    return Response(
        _lines(log.written()),
        mimetype="application/x-ndjson",
        headers={"Content-Disposition": "attachment; filename=ulna-log.jsonl"},
    )


def _lines(entries: Iterable[Written]) -> Iterator[str]:
    """One an entry, then the anchor of the last that was written here."""
    anchor = Anchor(0, START)
    for written in entries:
        yield json.dumps({**vars(written.entry), "sha256": written.sha256}, sort_keys=True) + "\n"
        anchor = Anchor(written.entry.number, written.sha256)
    yield json.dumps({"anchor": anchor.text()}) + "\n"


def _screen(checked: bool = False, found: list[str] | None = None, wrong: str = "") -> str:
    shown = kiosk().store.log.page(request.args.get("page", 1, int), _PAGE_SIZE)
    return render_template(
        "log.html",
        shown=shown,
        names=names_of_people(),
        anchor=kiosk().store.log.anchor().text(),
        checked=checked,
        found=(found or [])[:_SHOWN_FAULTS],
        more=max(0, len(found or []) - _SHOWN_FAULTS),
        wrong=wrong,
    )
