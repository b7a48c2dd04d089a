"""What each page asks for. A page that does not say is closed to everybody, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.access.sessions import Sessions, SignedIn
from device_app.access.tries import Place, place_of
from device_app.language import gettext
from device_app.settings import Settings, SiteSettings
from device_app.store.log import KIOSK
from runtime.errors import StoreError, UlnaError

_NEEDS = "_needs_role"
_TOKEN = "sign_in"  # noqa: S105  a key of the session
LANGUAGE = "language"
"""Key of the session for what somebody chose on this screen; it outlives who signs in and out."""
WATCHING = "X-Ulna-Watching"
"""Header of what a page asks by itself, without a touch."""
WATCHING_FLAG = "watching"
"""The same in an address, for a page that renews itself without a script."""
_SAFE = ("GET", "HEAD", "OPTIONS")
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])
Refuse: TypeAlias = Callable[[int, str, str], ResponseReturnValue]
"""Makes an answer, of a status, what is wrong and what to do."""


@dataclass(frozen=True)
class Access:
    """What the gate works with. host: on which the kiosk listens."""

    people: People
    sessions: Sessions
    settings: Settings
    host: str


def access() -> Access:
    """Of the current request's kiosk."""
    found = current_app.extensions["ulna-access"]
    assert isinstance(found, Access)
    return found


def open_to(role: Role) -> Callable[[View], View]:
    """Mark a view with the role that it needs; goes below the route."""

    def mark(view: View) -> View:
        setattr(view, _NEEDS, role)
        return view

    return mark


def needed_by(app: Flask, endpoint: str) -> Role | None:
    """Which role an endpoint needs; None for one that nobody may use."""
    if endpoint == "static":
        return Role.ANYONE
    marked: Role | None = getattr(app.view_functions.get(endpoint), _NEEDS, None)
    return marked


def install_gate(app: Flask, parts: Access, refuse: Refuse) -> None:
    """Check every request before its view."""
    app.extensions["ulna-access"] = parts

    @app.before_request
    def check() -> ResponseReturnValue | None:
        g.person = None
        if request.endpoint is None:
            return None  # there is no such page, whoever asks
        needed = needed_by(app, request.endpoint)
        if needed is None:
            return refuse(403, gettext("Nobody may open this page."), gettext("Go back to the first page."))
        g.person, is_over = _find(parts, needed)
        if is_over and request.method not in _SAFE and request.blueprint != "sign_in":
            # Never as whoever stands before the box: it was begun by somebody who had a name.
            return refuse(
                401, gettext("You were signed out. Nothing was stored."), gettext("Sign in and repeat.")
            )
        if _may(parts, needed):
            return None
        if g.person is None:
            return _ask_for_pin(refuse)
        return not_here(refuse)

    @app.context_processor
    def shown() -> dict[str, object]:
        return {"person": g.get("person"), "site": _site(parts), "Role": Role}


def signed_in() -> SignedIn | None:
    """Who is; None where nobody is."""
    found: SignedIn | None = g.get("person")
    return found


def actor() -> str:
    """Who does it, as the log names them."""
    person = signed_in()
    return KIOSK if person is None else person.public_id


def keep_token(token: str) -> None:
    """A new session for the browser, in place of whatever it had, which ends."""
    if before := drop_token():
        access().sessions.end(before)
    session[_TOKEN] = token


def drop_token() -> str:
    """The browser's token, which it has no longer; "" where it had none."""
    token = str(session.get(_TOKEN, ""))
    _forget_all()
    return token


def _forget_all() -> None:
    language = session.get(LANGUAGE)
    session.clear()
    if language is not None:
        session[LANGUAGE] = language


def is_at_the_box() -> bool:
    """Whether the request comes from the box's own screen, not over a network."""
    return place() is Place.BOX


def place() -> Place:
    """From where the request comes, as wrong PINs are counted."""
    return place_of(request.remote_addr or "", access().host)


def own_page(address: str) -> str:
    """The address if it is a page of this kiosk, else the first page: nobody is led elsewhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return url_for("upload.page")
    plain = not parts.scheme and not parts.netloc and address.startswith("/") and address.isprintable()
    return (
        address if plain and not address.startswith("//") and "\\" not in address else url_for("upload.page")
    )


def _find(parts: Access, needed: Role) -> tuple[SignedIn | None, bool]:
    """Who asks, and whether a session of theirs is over, which the browser then forgets."""
    token = session.get(_TOKEN)
    if not isinstance(token, str):
        return None, False
    try:
        is_touch = WATCHING not in request.headers and WATCHING_FLAG not in request.args
        found = parts.sessions.find(token, parts.settings.now().idle, is_touch)
    except StoreError:
        if needed is Role.ANYONE:  # such pages say what is wrong with the box
            return None, False
        raise
    if found is None:
        session.pop(_TOKEN)
    return found, found is None


def site_settings(app: Flask) -> SiteSettings:
    """What the site has decided; as the program comes, where the database is gone."""
    return _site(app.extensions["ulna-access"])


def _site(parts: Access) -> SiteSettings:
    """As the program comes, where the database is gone: the page that says so must still be made."""
    try:
        return parts.settings.now()
    except UlnaError:
        return SiteSettings()


def _may(parts: Access, needed: Role) -> bool:
    if needed is Role.ANYONE or (needed is Role.USER and not parts.settings.now().asks_for_pin):
        return True
    person = signed_in()
    return person is not None and person.role.may(needed)


def _ask_for_pin(refuse: Refuse) -> ResponseReturnValue:
    if request.method == "GET" and request.accept_mimetypes.best != "application/json":
        return _leave_for(url_for("sign_in.page", next=request.full_path.rstrip("?")))
    return nobody_here(refuse)


def nobody_here(refuse: Refuse) -> ResponseReturnValue:
    """What a form is answered that nobody has sent who is signed in."""
    return refuse(401, gettext("Nobody is signed in. Nothing was stored."), gettext("Sign in and repeat."))


def not_here(refuse: Refuse) -> ResponseReturnValue:
    """What somebody is answered who is signed in, and may not."""
    step = gettext("Ask whoever looks after the box, or sign in as somebody else.")
    return refuse(403, gettext("You may not do that here."), step)


def _leave_for(address: str) -> Response:
    response = redirect(address, 303)
    assert isinstance(response, Response)
    return response
