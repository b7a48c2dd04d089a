"""Pictures from a USB stick: what lies on it, and taking those that a person chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.intake.door import Fate
from device_app.intake.door import Outcome as Taken
from device_app.intake.sources import Trouble
from device_app.intake.stick import Stick, StickFile, sticks_of
from device_app.language import gettext
from device_app.store.records import MAX_LABEL_CHARS, Receipt, display_text
from device_app.views.upload import Outcome
from device_app.web import full_words, kiosk
from device_app.words import already_here, stored_words

blueprint = Blueprint("stick", __name__)
FILES_ON_A_PAGE = 50


@dataclass(frozen=True)
class StickPage:
    """Some of a stick's files, each with its place in the whole list; pages count from 1."""

    stick: Stick
    files: Sequence[tuple[int, StickFile]]
    page: int
    pages: int


@blueprint.app_context_processor
def stick_notice() -> dict[str, object]:
    """For the first page: whether there is a stick to choose from."""
    return {"sticks_in": bool(_plugged_in())}


@blueprint.get("/stick")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """What lies on the sticks that are plugged in."""
    return _screen()


@blueprint.post("/stick/pictures")
@open_to(Role.USER)
def take() -> ResponseReturnValue:
    """Store the chosen files; each is on disk and committed before the answer says so."""
    sticks = sticks_of(current_app)
    stick = sticks.find(request.form.get("stick", "")) if sticks else None
    if sticks is None or stick is None:
        says = gettext("This stick was pulled out or has changed. Nothing was stored. Choose again.")
        return _screen(says=says), 409
    places = [int(text) for text in request.form.getlist("file")[:FILES_ON_A_PAGE] if _is_place(text)]
    if not places:
        return _screen(says=gettext("No picture was chosen.")), 400
    label = request.form.get("patient_label", "")
    taken = sticks.take(stick, places, label, actor())
    outcomes = [_outcome(file, one, display_text(label, MAX_LABEL_CHARS)) for file, one in taken]
    return _screen(outcomes), max(outcome.status for outcome in outcomes) if outcomes else 400


def _screen(outcomes: Sequence[Outcome] = (), says: str = "") -> str:
    pages = [_page_of(stick) for stick in _plugged_in()]
    return render_template("stick.html", pages=pages, outcomes=outcomes, says=says)


def _plugged_in() -> tuple[Stick, ...]:
    sticks = sticks_of(current_app)
    return sticks.plugged_in() if sticks else ()


def _page_of(stick: Stick) -> StickPage:
    pages = max(1, -(-len(stick.files) // FILES_ON_A_PAGE))
    asked = request.args.get("page", default=1, type=int) if request.args.get("stick") == stick.token else 1
    number = min(max(1, asked), pages)
    first = (number - 1) * FILES_ON_A_PAGE
    files = list(enumerate(stick.files))[first : first + FILES_ON_A_PAGE]
    return StickPage(stick, files, number, pages)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 6


def _outcome(file: StickFile, taken: Taken, label: str) -> Outcome:
    if taken.fate.stored and taken.receipt is not None:
        return _stored(file.name, taken.receipt, label)
    if taken.fate is Fate.REFUSED:
        what = gettext("This is no picture that the box reads, or it is too large. It was not stored.")
        return Outcome(file.name, 400, error=what, hint=gettext("Choose another file."))
    if taken.fate is Fate.BROKEN:
        what = gettext("It could not be read from the stick. It was not stored.")
        return Outcome(file.name, 409, error=what, hint=gettext("Plug the stick in again and choose again."))
    return _later(file.name, taken.trouble)


def _stored(name: str, receipt: Receipt, label: str) -> Outcome:
    if not receipt.known:
        url = url_for("result.page", public_id=receipt.public_id)
        return Outcome(name, 201, url=url, says=stored_words(kiosk().reader.status()))
    other = bool(label) and label != receipt.patient_label
    url = url_for("result.page", public_id=receipt.public_id, known="other" if other else "same")
    says = already_here(receipt.patient_label, other, False)
    return Outcome(name, 200, url=url, known=True, says=says)


def _later(name: str, trouble: Trouble) -> Outcome:
    if trouble is Trouble.DISK_FULL:
        what, step = full_words()
        return Outcome(name, 507, error=what, hint=step)
    if trouble is Trouble.QUEUE_FULL:
        what = gettext("Too many pictures are waiting. This one was not stored.")
        step = gettext("Wait until some have been read, then send it again.")
        return Outcome(name, 503, error=what, hint=step)
    what = gettext("The box could not store this picture.")
    step = gettext("Send it again. If it stays like this, tell whoever looks after the box.")
    return Outcome(name, 503, error=what, hint=step)
