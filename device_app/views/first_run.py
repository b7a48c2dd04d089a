"""Setting a box up, step by step: at the box itself while nobody looks after it, later by who does."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from device_app import engine_report
from device_app.access.gate import (
    LANGUAGE,
    access,
    actor,
    is_at_the_box,
    keep_token,
    nobody_here,
    not_here,
    open_to,
    signed_in,
)
from device_app.access.pins import MAX_DIGITS, MIN_DIGITS
from device_app.access.roles import Role
from device_app.answers import summary
from device_app.first_run import STEPS, Facts, Step, after, before, clock_is_behind, done
from device_app.intake import words as source_words
from device_app.intake.sources import sources_of
from device_app.known_picture import known_picture
from device_app.language import LANGUAGES, gettext
from device_app.notices import Notice
from device_app.settings import MAX_CLINIC_CHARS
from device_app.status import utc_of
from device_app.store.records import Upload, display_text
from device_app.store.sources import TEST
from device_app.views.sign_in import lead_in
from device_app.vitals import read_vitals
from device_app.web import kiosk, problem
from device_app.words import weak_pin_words
from runtime.errors import BundleError, InputError

blueprint = Blueprint("first_run", __name__, url_prefix="/first")


@blueprint.get("/")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """All steps, and which are done."""
    return _guarded(lambda: render_template("first_run.html", step=None, **_shown()))


@blueprint.get("/<step>")
@open_to(Role.USER)
def show(step: str) -> ResponseReturnValue:
    """One step."""
    return _guarded(lambda: _screen(_step(step)))


@blueprint.post("/<step>")
@open_to(Role.USER)
def go_on(step: str) -> ResponseReturnValue:
    """Store what a step says, and on to the next."""
    this = _step(step)

    def store() -> ResponseReturnValue:
        wrong = _STORE[this]()
        if wrong and access().people.has_administrator() and signed_in() is None:
            return lead_in(url_for("first_run.page"))
        if wrong:
            return _screen(this, wrong), 400
        return redirect(url_for("first_run.show", step=after(this) or this), 303)

    return _guarded(store)


def _step(text: str) -> Step:
    if text not in STEPS:
        abort(404)
    return Step(text)


def _guarded(view: Callable[[], ResponseReturnValue]) -> ResponseReturnValue:
    """Until somebody looks after the box, whoever stands before it may; over a network anybody could."""
    person = signed_in()
    if person is not None and person.role.may(Role.ADMINISTRATOR):
        return view()
    if access().people.has_administrator():
        return _looked_after()
    if is_at_the_box():
        return view()
    return problem(
        403, gettext("A box is set up at the box itself."), gettext("Open this page on the box's own screen.")
    )


def _looked_after() -> ResponseReturnValue:
    """What everybody else is told once somebody looks after the box; that nothing was stored is said."""
    if signed_in() is not None:
        return not_here(problem)
    if request.method == "POST" and request.view_args != {"step": str(Step.ADMINISTRATOR)}:
        return nobody_here(problem)
    return lead_in(url_for("first_run.page"))


def _screen(step: Step, wrong: str = "") -> str:
    return render_template("first_run.html", step=step, wrong=wrong, **_shown(), **_SHOW[step]())


def _shown() -> dict[str, object]:
    return {"steps": STEPS, "done": done(_facts()), "before": before, "after": after, "Step": Step}


def _facts() -> Facts:
    tested = kiosk().store.records.of_source(TEST)
    answered = any(image.verdict for one in tested for image in one.images)
    return Facts(access().settings.now(), access().people.has_administrator(), answered)


def _show_language() -> dict[str, object]:
    return {"languages": LANGUAGES}


def _show_clinic() -> dict[str, object]:
    return {"limit": MAX_CLINIC_CHARS}


def _show_administrator() -> dict[str, object]:
    return {"digits": (MIN_DIGITS, MAX_DIGITS)}


def _show_date() -> dict[str, object]:
    now = datetime.now(UTC).replace(tzinfo=None)
    return {"now": now, "behind": clock_is_behind(now, _known_past())}


def _show_engines() -> dict[str, object]:
    status = kiosk().reader.status()
    return {
        "engines": engine_report.of_text(status.engines),
        "vitals": read_vitals(kiosk().config.data_dir),
    }


def _show_sources() -> dict[str, object]:
    return {"sources": sources_of(current_app).all(), "source_words": source_words}


def _show_test() -> dict[str, object]:
    tested = kiosk().store.records.of_source(TEST)
    if not tested:
        return {"tested": None}
    try:
        expected = known_picture(kiosk().config).verdict
    except BundleError:
        expected = None
    found = summary(tested[0])
    right = None if expected is None or found.probability is None else str(found.state) == str(expected)
    return {"tested": tested[0], "found": found, "right": right}


def _known_past() -> list[datetime]:
    """Times that have certainly been: when the model was made, and the last that happened on this box."""
    made = kiosk().reader.status().made_utc
    entries = kiosk().store.log.page(1, 1).entries
    texts = [made, *(entry.at_utc for entry in entries)]
    return [utc_of(text) for text in texts if text]


def _seen(step: Step) -> None:
    """Note that somebody has gone through it."""
    settings = access().settings
    settings.change(actor(), set_up=sorted({*settings.now().set_up, str(step)}))


def _store_language() -> str:
    chosen = request.form.get("language", "")
    if chosen and chosen not in LANGUAGES:
        return gettext("This language is not spoken here. Nothing was stored.")
    session.pop(LANGUAGE, None)
    access().settings.change(actor(), language=chosen)
    _seen(Step.LANGUAGE)
    return ""


def _store_clinic() -> str:
    clinic = display_text(request.form.get("clinic", ""), MAX_CLINIC_CHARS)
    access().settings.change(actor(), clinic=clinic)
    return ""


def _store_administrator() -> str:
    pin = request.form.get("pin", "")
    if pin != request.form.get("again", ""):
        return gettext("The two PINs differ. Nothing was stored.")
    try:
        made = access().people.add_first(request.form.get("name", ""), pin, "kiosk")
    except InputError as error:
        return weak_pin_words(str(error))
    keep_token(access().people.sign_in(made.public_id, pin))
    return ""


def _store_test() -> str:
    try:
        picture = known_picture(kiosk().config)
    except BundleError as error:
        return Notice(f"{error} {error.hint}", False).__html__()
    upload = Upload("test.png", gettext("Test picture"), source=TEST, actor=actor())
    kiosk().store.records.receive(io.BytesIO(picture.data), upload)
    kiosk().reader.wake()
    return ""


def _store_seen(step: Step) -> Callable[[], str]:
    def store() -> str:
        _seen(step)
        return ""

    return store


_SHOW: dict[Step, Callable[[], dict[str, object]]] = {
    Step.LANGUAGE: _show_language,
    Step.CLINIC: _show_clinic,
    Step.ADMINISTRATOR: _show_administrator,
    Step.DATE: _show_date,
    Step.ENGINES: _show_engines,
    Step.SOURCES: _show_sources,
    Step.TEST: _show_test,
}
_STORE: dict[Step, Callable[[], str]] = {
    Step.LANGUAGE: _store_language,
    Step.CLINIC: _store_clinic,
    Step.ADMINISTRATOR: _store_administrator,
    Step.DATE: _store_seen(Step.DATE),
    Step.ENGINES: _store_seen(Step.ENGINES),
    Step.SOURCES: _store_seen(Step.SOURCES),
    Step.TEST: _store_test,
}
