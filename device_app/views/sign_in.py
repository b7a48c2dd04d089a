"""Signing in by name and PIN, and out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import (
    access,
    drop_token,
    is_at_the_box,
    keep_token,
    open_to,
    own_page,
    place,
    signed_in,
)
from device_app.access.people import SignInRefusedError
from device_app.access.pins import MAX_DIGITS, MIN_DIGITS
from device_app.access.roles import Role
from device_app.language import gettext
from device_app.words import wait_words, weak_pin_words
from runtime.errors import InputError

blueprint = Blueprint("sign_in", __name__, url_prefix="/sign-in")


@blueprint.get("/")
@open_to(Role.ANYONE)
def page() -> ResponseReturnValue:
    """The names, and a field for the PIN; where there is no administrator yet, how to become the first."""
    return _screen()


def lead_in(after: str) -> ResponseReturnValue:
    """To the sign-in, where there is an administrator by now: whoever has just become it, by a button that
    was touched twice, too.
    """
    begun = "yes" if request.method == "POST" else None
    return redirect(url_for("sign_in.page", next=after, begun=begun), 303)


@blueprint.post("/")
@open_to(Role.ANYONE)
def enter() -> ResponseReturnValue:
    """A session for who gives the right PIN."""
    chosen, after = request.form.get("person", ""), own_page(request.form.get("next", ""))
    try:
        token = access().people.sign_in(chosen, request.form.get("pin", ""), place())
    except SignInRefusedError as error:
        wrong = gettext("This PIN is wrong. Try again.")
        return _screen(wait_words(error.wait) if error.wait else wrong, chosen), 403
    except InputError:
        return _screen(gettext("Choose your name first."), chosen), 400
    keep_token(token)
    return redirect(after, 303)


@blueprint.post("/first")
@open_to(Role.ANYONE)
def first() -> ResponseReturnValue:
    """Make the first administrator, at the box itself: over a network it could be anybody."""
    if not is_at_the_box():
        return _screen(gettext("The first administrator is made at the box itself.")), 403
    pin = request.form.get("pin", "")
    if pin != request.form.get("again", ""):
        return _screen(gettext("The two PINs differ. Nothing was stored.")), 400
    try:
        made = access().people.add_first(request.form.get("name", ""), pin, "kiosk")
    except InputError as error:
        if access().people.has_administrator() and signed_in() is None:
            return lead_in(url_for("settings.page"))
        return _screen(weak_pin_words(str(error))), 400
    keep_token(access().people.sign_in(made.public_id, pin))
    return redirect(url_for("settings.page"), 303)


@blueprint.post("/out")
@open_to(Role.ANYONE)
def leave() -> ResponseReturnValue:
    """End the session."""
    access().sessions.end(drop_token())
    return redirect(url_for("upload.page"), 303)


def _screen(wrong: str = "", chosen: str = "") -> str:
    return render_template(
        "sign_in.html",
        people=access().people.active(),
        is_new=not access().people.has_administrator(),
        at_the_box=is_at_the_box(),
        wrong=wrong,
        begun=request.args.get("begun", "") == "yes",
        chosen=chosen or request.values.get("person", ""),
        after=own_page(request.values.get("next", "")),
        digits=(MIN_DIGITS, MAX_DIGITS),
    )
