"""Pictures that were set aside: an administrator can take them in again."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from device_app import storage_words
from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.language import gettext
from device_app.store.aside import Bounds, TakenIn, lying_aside, take_in
from device_app.web import kiosk

blueprint = Blueprint("aside", __name__, url_prefix="/box/aside")
_SECONDS = 10.0
"""Of one request: nobody waits longer for a page, and the kiosk has few threads."""


@blueprint.get("/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """How many lie there, until when, and what taking them in does."""
    return _screen()


@blueprint.post("/")
@open_to(Role.ADMINISTRATOR)
def take() -> ResponseReturnValue:
    """Take in as many as there is room and time for; whoever comes today is not kept waiting for more."""
    if request.form.get("sure") != "yes":
        return _screen(wrong=gettext("Tick every box to confirm. Nothing was changed.")), 400
    box = kiosk()
    done = take_in(box.store, actor(), Bounds.of(box.config.max_waiting, _SECONDS))
    box.reader.wake()
    return _screen(done)


def _screen(done: TakenIn | None = None, wrong: str = "") -> str:
    return render_template(
        "aside.html",
        aside=lying_aside(kiosk().store.files),
        storage_words=storage_words,
        said=storage_words.taken_in_words(done) if done else [],
        going_on=done is not None,
        wrong=wrong,
    )
