"""Photograph a film on a light box with the tablet's own camera, where there is no file of it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from device_app.access.gate import open_to
from device_app.access.roles import Role
from device_app.facts import asked_by
from device_app.store.records import ExaminationRecord
from device_app.views.upload import Outcome, take_in
from device_app.web import full_words, kiosk

blueprint = Blueprint("camera", __name__, url_prefix="/photograph")


@blueprint.get("")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """How to take it, and the button that opens the camera."""
    return _screen()


@blueprint.post("")
@open_to(Role.USER)
def receive() -> ResponseReturnValue:
    """Store it as a photograph; answered like any other picture."""
    return take_in(_screen, photographed=True)


def _screen(outcomes: Sequence[Outcome] = ()) -> str:
    return render_template(
        "camera.html",
        outcomes=outcomes,
        full=" ".join(full_words()),
        asks=asked_by(kiosk().reader.status()),
        another=_named("examination"),
        again=_named("again"),
    )


def _named(argument: str) -> ExaminationRecord | None:
    """The examination that the address names: one to add to, or one whose photograph is taken again."""
    wanted = request.values.get(argument, "")
    return kiosk().store.records.holder(wanted) if wanted else None
