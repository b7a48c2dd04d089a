"""What people say of an examination, and the figures that come of it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.agreement import figures
from device_app.answers import summary
from device_app.language import gettext
from device_app.readings import MAX_NOTE_CHARS, Draft, Judgement, Kind
from device_app.store.records import ExaminationRecord, display_text
from device_app.views.judging import is_hidden, may_be_judged
from device_app.views.result import find_examination
from device_app.web import kiosk, problem
from runtime.errors import InputError

blueprint = Blueprint("reading", __name__)


@blueprint.post("/examinations/<public_id>/own")
@open_to(Role.USER)
def own(public_id: str) -> ResponseReturnValue:
    """Somebody's own reading, before the box's answer is shown."""
    return _keep(public_id, Kind.OWN)


@blueprint.post("/examinations/<public_id>/second")
@open_to(Role.READER)
def second(public_id: str) -> ResponseReturnValue:
    """A reader's judgement of picture and answer."""
    return _keep(public_id, Kind.SECOND)


@blueprint.post("/examinations/<public_id>/outcome")
@open_to(Role.READER)
def outcome(public_id: str) -> ResponseReturnValue:
    """What it was in the end."""
    return _keep(public_id, Kind.OUTCOME)


@blueprint.get("/agreement")
@open_to(Role.READER)
def agreement() -> ResponseReturnValue:
    """How often people and the box agree, change their minds, and are right."""
    return render_template("agreement.html", figures=figures(kiosk().store.readings.all()))


def _keep(public_id: str, kind: Kind) -> ResponseReturnValue:
    find_examination(public_id)
    try:
        judgement = Judgement(request.form.get("judgement", ""))
        note = display_text(request.form.get("note", ""), MAX_NOTE_CHARS)
        draft = Draft(kind, judgement, note=note)
        kiosk().store.readings.add(public_id, draft, actor(), lambda found: _box_says(found, kind))
    except (InputError, ValueError):
        return problem(
            400,
            gettext("This reading was not stored: it was given already, or nothing was chosen."),
            gettext("Go back to the picture and choose one of the answers."),
        )
    return redirect(url_for("result.page", public_id=public_id), 303)


def _box_says(examination: ExaminationRecord, kind: Kind) -> str:
    """One's own comes before the box's answer is seen, everything else after it. Raises InputError."""
    if is_hidden(examination) is not (kind is Kind.OWN) or not may_be_judged(examination):
        raise InputError("this cannot be said of it now", "open the picture again")
    return str(summary(examination).state)
