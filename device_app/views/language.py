"""In which language this screen speaks; what the whole site speaks is one of its settings."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from device_app.access.gate import LANGUAGE, open_to, own_page
from device_app.access.roles import Role
from device_app.language import LANGUAGES

blueprint = Blueprint("language", __name__, url_prefix="/language")


@blueprint.get("/")
@open_to(Role.ANYONE)
def page() -> ResponseReturnValue:
    """All languages, each by its own name."""
    return render_template("language.html", after=own_page(request.args.get("next", "")))


@blueprint.post("/")
@open_to(Role.ANYONE)
def choose() -> ResponseReturnValue:
    """From now on in this browser; a language that is not spoken here changes nothing."""
    chosen = request.form.get("language", "")
    if chosen in LANGUAGES:
        session[LANGUAGE] = chosen
    return redirect(own_page(request.form.get("next", "")), 303)
