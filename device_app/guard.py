"""What every answer of the web server carries and every request must pass."""

from __future__ import annotations

import ipaddress
import os
import secrets
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from device_app.config import KioskConfig
from device_app.store.database import disk_full
from runtime.durable import sync_folder, write_synced

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
BARE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Of an answer that no page of ours makes: plain text of the server itself."""
REFUSED = "ulna.refused"
"""Key of a request's environment for why its body was not taken."""
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_SECRET_NAME = "session-secret"  # noqa: S105  a file name


class Refused(StrEnum):
    """Why the body of a request was not taken (device_app.bodies)."""

    TOO_LARGE = "too_large"
    NO_ROOM = "no_room"
    NO_SESSION = "no_session"


SAFE_MODE = "X-Ulna-Safe-Mode"
"""On what a box in safe mode answers: a page that was opened before can tell that from silence."""


def install_guard(app: Flask, config: KioskConfig) -> None:
    """Check the Host header before everything else and put the headers on every answer."""

    @app.before_request
    def check_host() -> Response | None:
        if host_allowed(request.host, config):
            return None
        return Response("This kiosk is not known under that name.\n", 400, mimetype="text/plain")

    @app.before_request
    def check_body() -> None:
        """Without a session no form is taken anyway: that is said where its token is looked at."""
        refused = request.environ.get(REFUSED)
        if refused is Refused.TOO_LARGE:
            raise RequestEntityTooLarge
        if refused is Refused.NO_ROOM:
            raise disk_full()

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"  # patients' pictures stay on the box
        return response


def host_allowed(host: str, config: KioskConfig) -> bool:
    """Whether a Host header names this kiosk; a foreign name is DNS rebinding.

    A kiosk that listens on every address is also reached by address: an address cannot be rebound.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in {*_LOCAL_NAMES, config.host.lower(), *(known.lower() for known in config.allowed_hosts)}:
        return True
    return config.host in ("0.0.0.0", "::") and _is_address(name)  # noqa: S104  compared, not bound


def session_secret(folder: Path) -> bytes:
    """The key that signs sessions: made once for a box, readable by the kiosk alone."""
    path = folder / _SECRET_NAME
    try:
        secret = path.read_bytes()
        if len(secret) == 32:
            return secret
        path.unlink()  # half written when the power went: no session was ever signed with it
    except FileNotFoundError:
        pass
    old_mask = os.umask(0o077)
    try:
        write_synced(path, secrets.token_bytes(32))
    finally:
        os.umask(old_mask)
    sync_folder(folder)
    return path.read_bytes()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
