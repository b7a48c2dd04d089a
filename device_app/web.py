"""Puts the screens together. `device_app.create_app` is the door; this module needs the kiosk's extra."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from babel.dates import format_datetime
from flask import Flask, current_app, jsonify, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from device_app import facts, notices, words
from device_app.access.gate import LANGUAGE, Access, install_gate, site_settings
from device_app.access.people import People
from device_app.access.sessions import Sessions
from device_app.answers import ScreenState
from device_app.config import KioskConfig
from device_app.forms import take_any_file_name
from device_app.guard import install_guard, session_secret
from device_app.language import DEFAULT, LANGUAGES, decimal, direction, gettext, wanted
from device_app.outlook import install_outlook
from device_app.settings import Settings
from device_app.status import Phase, Reader
from device_app.store import Store, open_store
from device_app.store.database import disk_full, is_disk_full
from device_app.store.records import ImageRecord
from runtime.errors import DiskFullError, StoreError

_FORM_OVERHEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Kiosk:
    """What the screens work with."""

    config: KioskConfig
    store: Store
    reader: Reader


def kiosk() -> Kiosk:
    """The kiosk of the current request."""
    return kiosk_of(current_app)


def kiosk_of(app: Flask) -> Kiosk:
    """The kiosk of an application."""
    found = app.extensions["ulna"]
    assert isinstance(found, Kiosk)
    return found


def build_app(config: KioskConfig, reader: Reader) -> Flask:
    """The Flask application on a prepared store."""
    app = Flask("device_app")
    app.config.update(
        SECRET_KEY=session_secret(config.data_dir),
        MAX_CONTENT_LENGTH=config.max_upload_bytes + _FORM_OVERHEAD_BYTES,
        SESSION_COOKIE_NAME="ulna",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_HTTPONLY=True,
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for days, and a box's clock may jump
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.extensions["ulna"] = Kiosk(config, open_store(config), reader)
    install_guard(app, config)
    take_any_file_name()
    CSRFProtect(app)
    Babel(app, locale_selector=_language)
    database = kiosk_of(app).store.database
    install_gate(app, Access(People(database), Sessions(database), Settings(database), config.host), problem)
    _install_words(app)
    install_outlook(app, kiosk_of(app).store, config.reserve_bytes)
    _install_problems(app)
    _register(app)
    return app


def wants_json() -> bool:
    """Whether the request comes from a script of ours rather than from a person's address bar."""
    return request.accept_mimetypes.best == "application/json"


def _language() -> str:
    """What somebody chose on this screen, what the site decided, what the browser asks for."""
    chosen = (session.get(LANGUAGE), site_settings(current_app).language)
    named = next((one for one in chosen if one in LANGUAGES), None)
    return named or wanted(request.accept_languages.values()) or DEFAULT


def _register(app: Flask) -> None:
    from device_app.views import (
        aside,
        camera,
        export,
        first_run,
        grouping,
        health,
        history,
        images,
        language,
        log,
        monitor,
        people,
        points,
        reading,
        report,
        result,
        settings,
        sign_in,
        stick,
        upload,
    )

    patients = (upload, camera, stick, result, grouping, reading, report, images, history)
    others = (aside, export, first_run, language, health, monitor, points, sign_in, people, settings, log)
    for view in (*patients, *others):
        app.register_blueprint(view.blueprint)


def _install_words(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(words=words, facts=facts, notices=notices, version=version("ulna"))
    app.jinja_env.globals.update(ScreenState=ScreenState, Phase=Phase)
    app.jinja_env.globals.update(decimal=decimal, here=_here)
    app.jinja_env.globals["has_picture_of"] = _has_picture
    app.jinja_env.filters.update(moment=moment, stored_moment=_stored_moment)

    @app.context_processor
    def box_status() -> dict[str, object]:
        room = kiosk().store.records.has_room()
        language = str(get_locale() or DEFAULT)
        spoken = {"language": language, "direction": direction(language), "languages": LANGUAGES}
        return {"box": kiosk().reader.status(), "room": room, **spoken}


def _here() -> str:
    """The address of this page, to come back to; after a form, of the nearest page above what answered it."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    path, address = request.path, current_app.create_url_adapter(request)
    assert address is not None
    while path != "/" and not address.test(path, "GET"):
        path = path.rstrip("/").rpartition("/")[0] + "/"
    return path


def moment(utc: datetime) -> str:
    """A stored time as the box's wall clock shows it."""
    local = utc.replace(tzinfo=UTC).astimezone()
    return str(format_datetime(local, "d MMM y, HH:mm", tzinfo=local.tzinfo, locale=get_locale()))


def _stored_moment(text: str) -> str:
    """Of an entry of the log; one that was spoiled is shown as it stands."""
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return text


def _has_picture(image: ImageRecord, kind: str = "screen") -> bool:
    return kiosk().store.files.derived_path(image.sha256, kind).is_file()


def problem(status: int, what: str, step: str = "", back: str = "") -> ResponseReturnValue:
    """A plain page (or JSON for our scripts) that says what is wrong and what to do.

    back: address of the examination that it is about, "" for none.
    """
    if wants_json():
        return jsonify(error=what, hint=step), status
    return render_template("problem.html", what=what, step=step, back=back), status


def _install_problems(app: Flask) -> None:
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(CSRFError, _page_too_old)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(StoreError, store_problem)
    app.register_error_handler(Exception, _unexpected)


def _too_large(_error: Exception) -> ResponseReturnValue:
    limit_mb = kiosk().config.max_upload_bytes >> 20
    return problem(
        413,
        gettext("The file is too large: at most %(limit)s MB are taken. Nothing was stored.", limit=limit_mb),
        gettext("Send the pictures one at a time, or export a smaller one."),
    )


def _page_too_old(_error: Exception) -> ResponseReturnValue:
    return problem(
        400, gettext("This page is too old. Nothing was stored."), gettext("Open the page again and repeat.")
    )


def _http_problem(error: Exception) -> ResponseReturnValue:
    code = error.code if isinstance(error, HTTPException) and error.code else 500
    if code == 404:
        return problem(404, gettext("There is no such page."), gettext("Go back to the first page."))
    return problem(code, gettext("The box cannot do that."), gettext("Go back to the first page."))


def store_problem(error: Exception) -> ResponseReturnValue:
    """The store's refusals in a nurse's words."""
    if isinstance(error, DiskFullError):
        return problem(507, *full_words())
    return problem(
        503,
        gettext("The box cannot store or find this now. This is not a result."),
        gettext("Try again in a minute. If it stays like this, tell whoever looks after the box."),
    )


def full_words() -> tuple[str, str]:
    """The disk is full: what, and what to do."""
    return (
        gettext("The box's disk is full. Nothing was stored."),
        gettext("Tell whoever looks after the box. Keep the picture on the X-ray machine."),
    )


def _unexpected(error: Exception) -> ResponseReturnValue:
    if is_disk_full(error):
        return store_problem(disk_full())
    current_app.logger.exception("unexpected error")
    return problem(
        500,
        gettext("Something went wrong in the box. This is not a result."),
        gettext("Go back and try again. If it stays like this, tell whoever looks after the box."),
    )
