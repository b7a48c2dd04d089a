"""The limits of this clinic: what its own examinations say of them, and changing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.language import gettext
from device_app.limits_text import limits_of_text
from device_app.site_points import how_sure, words
from device_app.site_points.advice import judge, needs_confirmation
from device_app.site_points.axes import axes
from device_app.site_points.cases import Figures, figures_at
from device_app.site_points.changes import changes
from device_app.site_points.limits import (
    STEPS,
    Steps,
    can_move,
    points_at,
    steps_of,
    widened,
)
from device_app.status import ReaderStatus
from device_app.store.records import display_text
from device_app.store.site_points import MAX_REASON_CHARS, Change, change_points, decisions
from device_app.views.judging import names_of_people
from device_app.views.site_record import SiteRecord, record_now, record_words, sure_words
from device_app.web import kiosk, problem
from runtime.errors import InputError
from runtime.findings import GivenPoints, OperatingPoints, Verdict

blueprint = Blueprint("points", __name__, url_prefix="/box/limits")


@dataclass(frozen=True)
class Wish:
    """What a form asks for. after: number of the decision that it was made from."""

    steps: Steps
    reason: str
    after: int


@blueprint.app_context_processor
def how_often_right() -> dict[str, object]:
    """For the result page and the figures of people and box."""
    return {"sure_words": sure_words, "record_words": record_words, "limits_words": _limits_words}


@blueprint.get("/")
@open_to(Role.ADMINISTRATOR)
def page() -> ResponseReturnValue:
    """All that is known of the limits in force, and a form."""
    record = record_now()
    if record is None:
        return _not_yet()
    return _screen(record)


@blueprint.post("/look")
@open_to(Role.ADMINISTRATOR)
def look() -> ResponseReturnValue:
    """What the limits that were asked for would have changed; nothing is stored yet."""
    return _wished(_sure)


@blueprint.post("/change")
@open_to(Role.ADMINISTRATOR)
def change() -> ResponseReturnValue:
    """Store what was looked at and confirmed, with the reason and the figures that were shown."""
    return _wished(_change)


def _wished(do: Callable[[SiteRecord, Wish, OperatingPoints], ResponseReturnValue]) -> ResponseReturnValue:
    """With the limits that the form asks for; where they cannot be had, the page says why."""
    record = record_now()
    if record is None:
        return _not_yet()
    try:
        wish, wanted = _wish(record)
    except InputError as error:
        return _screen(record, _wrong_words(error)), 400
    return do(record, wish, wanted)


def _change(record: SiteRecord, wish: Wish, wanted: OperatingPoints) -> ResponseReturnValue:
    if request.form.get("sure") != "yes" or not _is_confirmed(record, wish, wanted):
        return _sure(record, wish, wanted, gettext("Tick every box to confirm. Nothing was changed.")), 400
    given = None if wish.steps == Steps() else GivenPoints(wanted, record.base)
    evidence = _evidence(record, wanted)
    try:
        change_points(
            kiosk().store.database,
            actor(),
            Change(record.bundle_sha256, given, wish.reason, wish.after, evidence),
        )
    except InputError as error:
        return _screen(record_now() or record, _wrong_words(error)), 409
    kiosk().reader.wake()
    return redirect(url_for("points.page"), 303)


def _limits_words(reader: ReaderStatus) -> str:
    return how_sure.limits_words(limits_of_text(reader.limits))


def _not_yet() -> ResponseReturnValue:
    return problem(
        503,
        gettext("The box is not ready, so it is not known which model is at work."),
        gettext("Wait until the box is ready and open this page again."),
    )


def _screen(record: SiteRecord, wrong: str = "") -> str:
    judgement = judge(record.evidence, record.base, record.points, record.promise)
    return render_template(
        "points.html",
        record=record,
        judgement=judgement,
        asked=_asked(record),
        axes=axes(record.evidence.cases, record.base, record.points, judgement.proposal),
        own=figures_at(record.evidence.cases, record.base),
        widened=widened,
        verdicts=(Verdict.NONE, Verdict.DOUBT, Verdict.FRACTURE),
        history=decisions(kiosk().store.database, record.bundle_sha256),
        names=names_of_people(),
        said=words,
        sure=how_sure,
        movable=can_move(record.base),
        wrong=wrong,
        reason=display_text(request.form.get("reason", ""), MAX_REASON_CHARS),
        limit=MAX_REASON_CHARS,
    )


def _sure(record: SiteRecord, wish: Wish, wanted: OperatingPoints, wrong: str = "") -> str:
    return render_template(
        "points_sure.html",
        record=record,
        wish=wish,
        wanted=wanted,
        figures=figures_at(record.evidence.cases, wanted),
        changes=changes(record.evidence, record.points, wanted),
        expressly=_asks_expressly(record, wish, wanted),
        widened=widened,
        said=words,
        sure=how_sure,
        wrong=wrong,
    )


def _wish(record: SiteRecord) -> tuple[Wish, OperatingPoints]:
    """Raises InputError for what cannot be chosen, without a reason, and for what is in force already."""
    steps = Steps(_number("sensitive"), _number("specific"))
    if request.form.get("own") == "yes":
        steps = Steps()
    wanted = record.base if steps == Steps() else points_at(record.base, steps)
    reason = display_text(request.form.get("reason", ""), MAX_REASON_CHARS)
    if not reason:
        raise InputError("a reason is missing", "write why the limits are changed")
    if wanted == record.points and not record.spoilt:
        raise InputError("these limits are in force already", "choose others, or leave everything as it is")
    return Wish(steps, reason, _number("after")), wanted


def _number(name: str) -> int:
    text = request.form.get(name, "0")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise InputError("a limit cannot be understood", "choose one of those listed")
    return int(text)


def _wrong_words(error: InputError) -> str:
    known = {
        "a reason": gettext("Write why the limits are changed. Nothing was changed."),
        "these limits": gettext("These limits are in force already. Nothing was changed."),
        "the limits cross": gettext("“Doubt” must begin below “fracture suspected”. Nothing was changed."),
        "somebody": gettext(
            "Somebody else has just changed the limits. Look again. Your change was not made."
        ),
    }
    other = gettext("These limits may not be chosen: choose from the list. Nothing was changed.")
    return next((text for start, text in known.items() if str(error).startswith(start)), other)


def _asks_expressly(record: SiteRecord, wish: Wish, wanted: OperatingPoints) -> bool:
    """Going back to what the maker has tested needs no more than a reason."""
    return wish.steps != Steps() and needs_confirmation(record.evidence.cases, wanted, record.promise)


def _is_confirmed(record: SiteRecord, wish: Wish, wanted: OperatingPoints) -> bool:
    return not _asks_expressly(record, wish, wanted) or request.form.get("fewer") == "yes"


def _asked(record: SiteRecord) -> Steps:
    """What the form shows at first: what was sent, what the page's address says, or what is in force."""
    now = steps_of(record.base, record.points)
    sent = {name: request.values.get(name, type=int) for name in ("sensitive", "specific")}
    good = {name: step for name, step in sent.items() if step is not None and abs(step) <= STEPS}
    return replace(now, **good)


def _evidence(record: SiteRecord, wanted: OperatingPoints) -> dict[str, Any]:
    """The figures that were shown, as they are kept beside the decision."""
    cases = record.evidence.cases
    return {
        "before": _counts(record.figures),
        "after": _counts(figures_at(cases, wanted)),
        "followed_up": {
            str(verdict): asdict(record.evidence.followed_up(verdict)) for verdict in words.VERDICTS
        },
        "expressly": request.form.get("fewer") == "yes",
    }


def _counts(figures: Figures) -> dict[str, dict[str, int]]:
    return {name: asdict(share) for name, share in vars(figures).items()}
