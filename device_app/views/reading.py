"""What people say of an examination, and the figures that come of it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import access, actor, open_to
from device_app.access.roles import Role
from device_app.agreement import RENEWED_AFTER, figures, of_many
from device_app.answers import summary
from device_app.basis import is_basis
from device_app.language import gettext
from device_app.places import require_within, sizes_px
from device_app.plates import plates
from device_app.readings import (
    MAX_NOTE_CHARS,
    ChangedError,
    Draft,
    Judgement,
    Kind,
    PlaceError,
    places_of_text,
)
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
    said, first = kiosk().store.readings.all(), access().settings.now().own_read_first
    told = figures(of_many(said) if first else said)
    return render_template("agreement.html", figures=told, renewed_after=RENEWED_AFTER)


def _changed(public_id: str, draft: Draft) -> ResponseReturnValue:
    """With what she said, so that she need not remember it."""
    what = gettext("This reading was not stored: the pictures or the box's answer have changed meanwhile.")
    step = gettext("Look at all pictures again, then say what you see.")
    said = {"what": what, "step": step, "public_id": public_id, "draft": draft}
    return render_template("reading_changed.html", **said), 409


def _keep(public_id: str, kind: Kind) -> ResponseReturnValue:
    here = find_examination(public_id).public_id
    try:
        draft = _draft(kind)
        kiosk().store.readings.add(here, draft, actor(), lambda found: _box_says(found, draft))
    except ChangedError:
        return _changed(here, draft)
    except PlaceError:
        return problem(
            400,
            gettext(
                "This reading was not stored: a marked place does not belong to this picture and answer."
            ),
            gettext(
                "Go back to the picture, remove the marked places or draw them again, and store once more."
            ),
        )
    except (InputError, ValueError):
        return problem(
            400,
            gettext("This reading was not stored: it was given already, or nothing was chosen."),
            gettext("Go back to the picture and choose one of the answers."),
        )
    return redirect(url_for("result.page", public_id=here), 303)


def _draft(kind: Kind) -> Draft:
    """What the form says. Raises InputError, and ValueError for no judgement."""
    judgement = Judgement(request.form.get("judgement", ""))
    places = places_of_text(request.form.get("places") or "[]")
    return Draft(kind, judgement, places, display_text(request.form.get("note", ""), MAX_NOTE_CHARS))


def _box_says(examination: ExaminationRecord, draft: Draft) -> str:
    """One's own comes before the box's answer is seen, everything else after it. Raises InputError."""
    if not is_basis(request.form.get("basis", ""), examination):
        raise ChangedError("the pictures or answers are not those of the form", "look at it again")
    if is_hidden(examination) is not (draft.kind is Kind.OWN) or not may_be_judged(examination):
        raise InputError("this cannot be said of it now", "open the picture again")
    require_within(draft.places, sizes_px(plates(examination, kiosk().store.files)))
    return str(summary(examination).state)
