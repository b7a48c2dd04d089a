"""Which pictures make one examination, for whoever uses the kiosk."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.language import gettext
from device_app.store.records import MAX_VIEWS
from device_app.views.result import find_examination
from device_app.web import kiosk, problem
from runtime.errors import InputError

blueprint = Blueprint("grouping", __name__, url_prefix="/examinations/<public_id>")


@blueprint.post("/views")
@open_to(Role.USER)
def join(public_id: str) -> ResponseReturnValue:
    """The views of another examination belong to this one."""
    page = url_for("result.page", public_id=find_examination(public_id).public_id)
    try:
        kiosk().store.grouping.join(request.form.get("other", ""), public_id, actor())
    except InputError as error:
        return problem(409, *_refused(error), page)
    return redirect(page, 303)


@blueprint.post("/images/<int:image_id>/part")
@open_to(Role.USER)
def part(public_id: str, image_id: int) -> ResponseReturnValue:
    """A view does not belong to this examination: it becomes one by itself."""
    examination = find_examination(public_id)
    try:
        alone = kiosk().store.grouping.part(examination.public_id, image_id, actor())
    except InputError as error:
        return problem(409, *_refused(error), url_for("result.page", public_id=examination.public_id))
    return redirect(url_for("result.page", public_id=alone), 303)


def _refused(error: InputError) -> tuple[str, str]:
    said = {
        "two patients": (
            gettext("These pictures are of two patients. Nothing was changed."),
            gettext("Look at the patient numbers again."),
        ),
        "judged": (
            gettext("People have judged that examination already. Nothing was changed."),
            gettext("Open it and add the other picture there."),
        ),
        "at most": (
            gettext("An examination has at most %(most)s pictures. Nothing was changed.", most=MAX_VIEWS),
            gettext("Leave them as two examinations."),
        ),
    }
    nothing = gettext("That cannot be done now. Nothing was changed."), gettext("Open the examination again.")
    return next((words for part, words in said.items() if part in str(error)), nothing)
