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
    Said,
    last_of,
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
    shown = {"what": what, "step": step, "back": _page(public_id), "said": draft}
    return render_template("reading_refused.html", **shown), 409


def _refused(public_id: str, kind: Kind) -> ResponseReturnValue:
    if kind is Kind.OWN and (stands := _own_that_stands(public_id)) is not None:
        what = gettext("Your first reading stands. This one was not stored.")
        return render_template("reading_refused.html", what=what, back=_page(public_id), said=stands), 400
    return problem(
        400,
        gettext("This reading was not stored: it was given already, or nothing was chosen."),
        gettext("Go back to the picture and choose one of the answers."),
        _page(public_id),
    )


def _own_that_stands(public_id: str) -> Said | None:
    """Somebody's own reading of all that an examination holds; None where another is to be given."""
    examination = find_examination(public_id)
    own = last_of(kiosk().store.readings.of(public_id), actor(), Kind.OWN)
    return None if is_hidden(examination) else own


def _page(public_id: str) -> str:
    return url_for("result.page", public_id=public_id)


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
            _page(here),
        )
    except (InputError, ValueError):
        return _refused(here, kind)
    return redirect(_page(here), 303)


def _draft(kind: Kind) -> Draft:
    """What the form says. Raises InputError, and ValueError for no judgement."""
    judgement = Judgement(request.form.get("judgement", ""))
    places = places_of_text(request.form.get("places") or "[]")
    return Draft(kind, judgement, places, display_text(request.form.get("note", ""), MAX_NOTE_CHARS))


def _box_says(examination: ExaminationRecord, draft: Draft) -> str:
    """One's own comes before the box's answer is seen, everything else after it. Raises InputError."""
    if not is_basis(request.form.get("basis", ""), examination):
        raise ChangedError("the pictures or answers are not those of the form", "look at it again")
    if draft.note and all(image.removed_utc for image in examination.images):
        raise ChangedError("remarks go with the last picture, and it is gone", "say it without a remark")
    if is_hidden(examination) is not (draft.kind is Kind.OWN) or not may_be_judged(examination):
        raise InputError("this cannot be said of it now", "open the picture again")
    require_within(draft.places, sizes_px(plates(examination, kiosk().store.files)))
    return str(summary(examination).state)
