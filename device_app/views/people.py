"""The people of the box, for its administrator."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import access, actor, open_to, place, signed_in
from device_app.access.people import SignInRefusedError
from device_app.access.pins import MAX_DIGITS, MIN_DIGITS
from device_app.access.roles import PEOPLE_ROLES, Role
from device_app.language import gettext
from device_app.words import wait_words, weak_pin_words
from runtime.errors import InputError

blueprint = Blueprint("people", __name__, url_prefix="/people")


@blueprint.get("/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """Everybody, and a form for somebody new."""
    return _screen()


@blueprint.post("/")
@open_to(Role.ADMINISTRATOR)
def add() -> ResponseReturnValue:
    """Somebody new."""
    if (pin := request.form.get("pin", "")) != request.form.get("again", ""):
        return _screen(gettext("The two PINs differ. Nothing was stored.")), 400
    try:
        access().people.add(request.form.get("name", ""), _role(), pin, actor())
    except InputError as error:
        return _screen(weak_pin_words(str(error))), 400
    return redirect(url_for("people.page"), 303)


@blueprint.post("/<public_id>")
@open_to(Role.ADMINISTRATOR)
def change(public_id: str) -> ResponseReturnValue:
    """Another role, or in and out."""
    people, what = access().people, request.form.get("do", "")
    try:
        if what == "role":
            people.set_role(public_id, _role(), actor())
        elif what in {"let_in", "let_out"}:
            people.set_active(public_id, what == "let_in", actor())
        else:
            abort(400)
    except InputError as error:
        return _screen(weak_pin_words(str(error))), 400
    return redirect(url_for("people.page"), 303)


@blueprint.get("/pin/<public_id>")
@open_to(Role.USER)
def pin_page(public_id: str) -> ResponseReturnValue:
    """A form for a new PIN, one's own or, for an administrator, anybody's."""
    return _pin_screen(public_id)


@blueprint.post("/pin/<public_id>")
@open_to(Role.USER)
def set_pin(public_id: str) -> ResponseReturnValue:
    """Everybody with that PIN must sign in again."""
    if not _may_change(public_id):
        abort(403)
    if (pin := request.form.get("pin", "")) != request.form.get("again", ""):
        return _pin_screen(public_id, gettext("The two PINs differ. Nothing was stored.")), 400
    try:
        if _is_own(public_id):
            access().people.confirm(public_id, request.form.get("present", ""), place())
        access().people.set_pin(public_id, pin, actor())
    except SignInRefusedError as error:
        wrong = gettext("The present PIN is wrong. Nothing was stored.")
        return _pin_screen(public_id, wait_words(error.wait) if error.wait else wrong), 403
    except InputError as error:
        return _pin_screen(public_id, weak_pin_words(str(error))), 400
    return redirect(url_for("sign_in.page"), 303)


def _screen(wrong: str = "") -> str:
    return render_template(
        "people.html",
        people=access().people.all(),
        roles=PEOPLE_ROLES,
        wrong=wrong,
        digits=(MIN_DIGITS, MAX_DIGITS),
    )


def _pin_screen(public_id: str, wrong: str = "") -> str:
    chosen = [one for one in access().people.active() if one.public_id == public_id]
    if not chosen or not _may_change(public_id):
        abort(404)
    return render_template(
        "pin.html",
        chosen=chosen[0],
        is_own=_is_own(public_id),
        wrong=wrong,
        digits=(MIN_DIGITS, MAX_DIGITS),
    )


def _is_own(public_id: str) -> bool:
    """A screen that somebody has left must not become a stranger's."""
    person = signed_in()
    return person is not None and person.public_id == public_id


def _may_change(public_id: str) -> bool:
    """Nobody's PIN is changed by whoever merely stands before the box."""
    person = signed_in()
    return person is not None and (person.public_id == public_id or person.role is Role.ADMINISTRATOR)


def _role() -> Role:
    try:
        return Role(request.form.get("role", ""))
    except ValueError:
        abort(400)
