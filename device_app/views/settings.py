"""What the site decides, for its administrator."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import access, actor, open_to
from device_app.access.roles import Role
from device_app.language import gettext
from device_app.settings import MAX_CLINIC_CHARS
from device_app.store.records import display_text
from runtime.errors import InputError

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@blueprint.get("/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """All of it on one page."""
    return render_template("settings.html", wrong="", limit=MAX_CLINIC_CHARS)


@blueprint.post("/")
@open_to(Role.ADMINISTRATOR)
def change() -> ResponseReturnValue:
    """Store what the form says; nothing at all where one value cannot be."""
    try:
        access().settings.change(
            actor(),
            clinic=display_text(request.form.get("clinic", ""), MAX_CLINIC_CHARS),
            sign_in_to_use=request.form.get("sign_in_to_use") == "yes",
            label_from_file=request.form.get("label_from_file") == "yes",
            own_read_first=request.form.get("own_read_first") == "yes",
            idle_minutes=_number(request.form.get("idle_minutes", "")),
            keep_days=_days(request.form.get("keep_days", "0")),
        )
    except InputError:
        wrong = gettext(
            "The minutes must be a number from 1 to 240, the days 0 or a number from 30. Nothing was stored."
        )
        return render_template("settings.html", wrong=wrong, limit=MAX_CLINIC_CHARS), 400
    return redirect(url_for("settings.page"), 303)


def _days(text: str) -> int:
    """-1, which no setting can be, for what is no number: nothing is ever removed by a slip."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
