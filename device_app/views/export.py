"""Pictures for improving the model: consent, a look at each before it leaves, and the export itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.export import words as export_words
from device_app.export.exports import Exports, Phase, can_write_dicom
from device_app.export.preview import SIDES_PX
from device_app.export.seen import Shown
from device_app.intake.stick import Stick, sticks_of
from device_app.language import gettext
from device_app.store.consent import Consented
from device_app.store.log import Action
from device_app.views.result import find_examination
from device_app.web import kiosk, problem

blueprint = Blueprint("export", __name__)
PICTURES_ON_A_PAGE = 12
_EXTENSION = "ulna-export"
_DIGEST_CHARS = 64


@dataclass(frozen=True)
class Waiting:
    """One consented picture as the page shows it; shown is None while it is being prepared."""

    found: Consented
    shown: Shown | None
    left: datetime | None


@dataclass(frozen=True)
class ExportPage:
    """Pages count from 1. ready: whether all of this page's pictures can be looked at."""

    waiting: Sequence[Waiting]
    page: int
    pages: int
    total: int

    @property
    def ready(self) -> bool:
        """Nothing on it is still being prepared."""
        return all(one.shown is not None for one in self.waiting)


def exports() -> Exports:
    """Of the current request's kiosk."""
    found = current_app.extensions.get(_EXTENSION)
    if not isinstance(found, Exports):
        found = current_app.extensions.setdefault(_EXTENSION, Exports(kiosk().config, kiosk().store))
    return found


@blueprint.app_context_processor
def _consent_words() -> dict[str, object]:
    """For the result page: when pictures of an examination left the box, None for never."""
    return {"export_left": lambda public_id: exports().consents.left([public_id]).get(public_id)}


@blueprint.post("/examinations/<public_id>/consent")
@open_to(Role.READER)
def consent(public_id: str) -> ResponseReturnValue:
    """Somebody states that the patient agrees, or that she agrees no longer."""
    examination = find_examination(public_id)
    said = {"yes": exports().give, "no": exports().withdraw}
    state = said.get(request.form.get("agrees", ""))
    if state is None:
        return problem(
            400, gettext("Nothing was chosen. Nothing was stored."), gettext("Go back to the picture.")
        )
    state(examination.public_id, actor())
    return redirect(url_for("result.page", public_id=examination.public_id, _anchor="consent"), 303)


@blueprint.get("/export/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """What may leave, how far an export is, and where it can go."""
    return _screen()


@blueprint.post("/export/look")
@open_to(Role.ADMINISTRATOR)
def look() -> ResponseReturnValue:
    """Let the ticked pictures of a page leave and keep the others."""
    exports().settle()
    leaves = set(request.form.getlist("leaves")[:PICTURES_ON_A_PAGE])
    shown = request.form.getlist("shown")[:PICTURES_ON_A_PAGE]
    decided = [_decide(text, leaves) for text in shown]
    if not decided or not all(decided):
        says = gettext("Some pictures were not shown here or have changed: they stay. Look at them again.")
        return _screen(says), 409
    after = request.form.get("page", 1, int) + 1
    return redirect(url_for("export.page", page=after, _anchor="pictures"), 303)


def _decide(text: str, leaves: set[str]) -> bool:
    """text: number and digest of a picture as the page has shown it."""
    number, _, digest = text.partition(":")
    is_one = number.isascii() and number.isdecimal() and len(number) < 12 and len(digest) == _DIGEST_CHARS
    return is_one and exports().seen.decide(int(number), digest, number in leaves, actor())


@blueprint.post("/export/start")
@open_to(Role.ADMINISTRATOR)
def start() -> ResponseReturnValue:
    """Begin."""
    if not can_write_dicom():
        return _screen(), 501
    to = request.form.get("to", "")
    sticks = sticks_of(current_app)
    stick = sticks.find(to) if sticks else None
    if stick is None and to != "download":
        return _screen(
            gettext("This stick was pulled out or has changed. Nothing has left. Choose again.")
        ), 409
    if not exports().start(actor(), stick):
        return _screen(gettext("Nothing was let go, or an export is under way.")), 409
    return redirect(url_for("export.page"), 303)


@blueprint.post("/export/stop")
@open_to(Role.ADMINISTRATOR)
def stop() -> ResponseReturnValue:
    """End the one that is under way."""
    exports().stop()
    return redirect(url_for("export.page"), 303)


@blueprint.get("/export/pictures/<int:image_id>/<any(small, large):kind>.png")
@open_to(Role.ADMINISTRATOR)
def picture(image_id: int, kind: str) -> ResponseReturnValue:
    """The pixels that would leave."""
    if request.method == "HEAD":  # nothing is shown by it
        abort(405)
    data = exports().picture(image_id, kind, actor()) if kind in SIDES_PX else None
    if data is None:
        abort(404)
    return Response(data, mimetype="image/png")


@blueprint.get("/export/download")
@open_to(Role.ADMINISTRATOR)
def download() -> ResponseReturnValue:
    """The zip that was made, if all in it may still leave."""
    ready = exports().zip.get()
    if ready is None:
        return redirect(url_for("export.page"), 303)  # which says why it is gone
    if request.method != "HEAD":  # which sends nothing of it
        kiosk().store.log.note(actor(), Action.CASES_FETCHED, ready.export, pictures=len(ready.image_ids))
    path = ready.path
    return send_file(path, mimetype="application/zip", as_attachment=True, download_name=path.name, max_age=0)


@blueprint.post("/export/remove")
@open_to(Role.ADMINISTRATOR)
def remove() -> ResponseReturnValue:
    """The zip is no longer needed on the box."""
    exports().zip.remove()
    return redirect(url_for("export.page"), 303)


def _screen(says: str = "") -> str:
    found = exports()
    found.look()
    state, ready = found.state, found.zip.get()
    return render_template(
        "export.html",
        shown=_page(found),
        state=state,
        running=state.phase is Phase.RUNNING,
        letting=len(found.leaving()),
        sticks=_sticks(),
        zip_mb=_megabytes(ready.path) if ready else None,
        zip_gone=found.zip.gone,
        can_write=can_write_dicom(),
        says=says,
        export_words=export_words,
        ExportPhase=Phase,  # "Phase" is the reader's, on every page
    )


def _megabytes(path: Path) -> float:
    try:
        return path.stat().st_size / 1e6
    except FileNotFoundError:  # removed in this moment
        return 0.0


def _sticks() -> Iterable[Stick]:
    sticks = sticks_of(current_app)
    return sticks.plugged_in() if sticks else ()


def _page(found: Exports) -> ExportPage:
    ids = found.consents.image_ids()
    pages = max(1, -(-len(ids) // PICTURES_ON_A_PAGE))
    number = min(max(1, request.values.get("page", 1, int)), pages)
    first = (number - 1) * PICTURES_ON_A_PAGE
    each = [found.consents.find(image_id) for image_id in ids[first : first + PICTURES_ON_A_PAGE]]
    there = [one for one in each if one is not None]
    left = found.consents.left(one.examination for one in there)
    rows = [Waiting(one, found.seen.get(one.image_id), left.get(one.examination)) for one in there]
    return ExportPage(rows, number, pages, len(ids))
