"""The screens of a box in safe mode: one page, whatever is asked for, with 503, and what mends it."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from importlib.metadata import version

from flask import Flask, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException

from device_app import safe_mode_words as words
from device_app import serving
from device_app.access.people import SignInRefusedError
from device_app.access.tries import place_of
from device_app.guard import SAFE_MODE, install_guard
from device_app.language import DEFAULT, decimal, direction, gettext, wanted
from device_app.safe_mode import BY_CODE, Phase, SafeBox, Trouble
from device_app.safe_mode_checks import Part
from device_app.web import wants_json
from runtime.errors import InputError

_MOST_BYTES = 1 << 16
"""Of what is sent here: a PIN, no picture."""


def stay(box: SafeBox, trouble: Trouble, listener: socket.socket, announce: Callable[[str], None]) -> bool:
    """Show what is wrong until the box may be started again; False when this process is to end."""
    box.begin(trouble)
    address = serving.address_of(box.config, listener)
    why = "; ".join(filter(None, (trouble.reason, trouble.hint)))
    announce(f"The kiosk is in safe mode at {address} because {why}")
    if box.offers_mending:
        announce(f"Code for mending it at the screen: {box.code}")
        announce(f"Or from here: ulna mend --data {box.config.data_dir}")
    return serving.run(build_safe_app(box), box.config, listener)


def build_safe_app(box: SafeBox) -> Flask:
    """The application; it opens no store."""
    app = Flask("device_app")
    app.config.update(
        SECRET_KEY=box.secret,
        MAX_CONTENT_LENGTH=_MOST_BYTES,
        SESSION_COOKIE_NAME="ulna-safe",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_HTTPONLY=True,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,  # what stores nothing needs no token; what does asks for one itself
    )
    install_guard(app, box.config)
    protect = CSRFProtect(app)
    Babel(app, locale_selector=lambda: wanted(request.accept_languages.values()) or DEFAULT)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        words=words, Part=Part, Phase=Phase, BY_CODE=BY_CODE, version=version("ulna"), decimal=decimal
    )
    _add_machine(app, box)
    _add_actions(app, box, protect)
    _add_everything_else(app, box)
    return app


def _add_machine(app: Flask, box: SafeBox) -> None:
    @app.get("/health")
    @app.get("/healthz")
    def machine() -> ResponseReturnValue:
        return jsonify(_told(box)), 503


def _add_actions(app: Flask, box: SafeBox, protect: CSRFProtect) -> None:
    @app.post("/safe/again")
    def start_again() -> ResponseReturnValue:
        protect.protect()
        box.start_again()
        return _page(box)

    @app.post("/safe/mend")
    def begin_mending() -> ResponseReturnValue:
        protect.protect()
        place = place_of(request.remote_addr or "", box.config.host)
        try:
            box.begin_mending(request.form.get("who", ""), request.form.get("proof", ""), place)
        except InputError as error:
            return _page(box, wrong=_wrong_words(error))
        return _page(box)


def _add_everything_else(app: Flask, box: SafeBox) -> None:
    @app.route("/", defaults={"path": ""}, methods=["GET", "HEAD"])
    @app.route("/<path:path>", methods=["GET", "HEAD"])
    def page(path: str) -> ResponseReturnValue:
        return _page(box)

    def problem(error: Exception) -> ResponseReturnValue:
        """Of whatever was sent here, a picture too."""
        changes = request.method not in ("GET", "HEAD")
        if not changes and isinstance(error, HTTPException) and request.endpoint == "static":
            return error
        return _page(box, refused=changes)

    app.register_error_handler(CSRFError, lambda _error: _page(box, refused=True))
    app.register_error_handler(HTTPException, problem)


def _page(box: SafeBox, wrong: str = "", refused: bool = False) -> ResponseReturnValue:
    if wants_json():
        return jsonify(error=_nurse_words(), hint=gettext("Nothing was stored."), **_told(box)), 503
    language = str(get_locale() or DEFAULT)
    spoken = {"language": language, "direction": direction(language)}
    page = render_template("safe.html", box=box, wrong=wrong, refused=refused, **spoken)
    return page, 503, {SAFE_MODE: "1"}


def _wrong_words(error: InputError) -> str:
    if isinstance(error, SignInRefusedError) and error.wait:
        minutes = math.ceil(error.wait.total_seconds() / 60)
        return gettext(
            "Too many wrong tries. Wait %(minutes)s min, or run ulna mend on the box.", minutes=minutes
        )
    return gettext("That PIN or code is wrong, or there is nothing to mend now. Nothing was changed.")


def _nurse_words() -> str:
    return gettext("The box cannot read pictures now. Decide by examining the patient.")


def _told(box: SafeBox) -> dict[str, object]:
    """For machines: never healthy, whatever phase."""
    parts = {
        str(part): {"ok": state.ok, "detail": _without_path(box, state.detail)}
        for part, state in box.parts.items()
    }
    return {
        "healthy": False,
        "safe_mode": True,
        "intake_open": False,
        "phase": str(box.phase),
        "reason": _without_path(box, box.trouble.reason),
        "advice": _without_path(box, box.trouble.hint),
        "parts": parts,
    }


def _without_path(box: SafeBox, text: str) -> str:
    """Where on the disk it lies is nobody's business who asks over the network."""
    return text.replace(str(box.config.data_dir), "DATA")
