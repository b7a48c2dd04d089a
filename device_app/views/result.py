"""One examination: the answer, the picture, what to do next."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import actor, open_to
from device_app.access.roles import Role
from device_app.answers import ScreenState, summary, waits
from device_app.basis import basis, seen, seen_of
from device_app.facts import asked_by, facts_of_form, to_text
from device_app.own_first import bare
from device_app.plates import Plate, plates
from device_app.readings import OUTCOMES, Judgement
from device_app.store.earlier import earlier_examinations
from device_app.store.records import MAX_VIEWS, ExaminationRecord
from device_app.store.sources import TEST
from device_app.views.judging import is_hidden
from device_app.views.reading_page import marking, reading_page
from device_app.web import kiosk
from device_app.words import place_words

blueprint = Blueprint("result", __name__, url_prefix="/examinations/<public_id>")


@blueprint.get("/")
@open_to(Role.USER)
def page(public_id: str) -> ResponseReturnValue:
    """The result page; it looks again by itself, because an answer may come, and a view may be added."""
    examination = find_examination(public_id)
    if examination.public_id != public_id:
        return redirect(url_for("result.page", public_id=examination.public_id))
    shown, hidden = plates(examination, kiosk().store.files), is_hidden(examination)
    common = {
        "examination": examination,
        "seen": _seen(shown, hidden),
        "basis": basis(examination, hidden),
        "waiting": any(map(waits, examination.images)),
        "marking": marking(),
        "judgement_kinds": tuple(Judgement),
    }
    if hidden:
        return render_template("read_first.html", shown=[bare(plate) for plate in shown], **common)
    past = _earlier(public_id)
    beside = next((one for one in past if str(one.image.id) == request.args.get("beside")), None)
    return render_template(
        "result.html",
        **common,
        shown=shown,
        seen_of=seen_of,
        whole=summary(examination),
        near=_near(examination),
        most_views=MAX_VIEWS,
        asks=asked_by(kiosk().reader.status()),
        earlier=past,
        beside=beside,
        known=request.args.get("known", ""),
        facts_given=request.args.get("facts", "") == "unused",
        reading=reading_page(examination, shown),
        outcomes=OUTCOMES,
    )


@blueprint.get("/state")
@open_to(Role.USER)
def state(public_id: str) -> ResponseReturnValue:
    """Where the examination is, for the page's script: `seen` changes when the page would."""
    examination = find_examination(public_id)
    shown, hidden = plates(examination, kiosk().store.files), is_hidden(examination)
    return jsonify(
        state="hidden" if hidden else summary(examination).state,
        place=_place(shown),
        ended=_ended(shown),
        held=kiosk().reader.status().cannot_answer,
        seen=_seen(shown, hidden),
    )


@blueprint.post("/images/<int:image_id>/retry")
@open_to(Role.USER)
def retry(public_id: str, image_id: int) -> ResponseReturnValue:
    """Read a failed picture once more, because a person asked for it."""
    examination = find_examination(public_id)
    if image_id not in [image.id for image in examination.images]:
        abort(404)
    if kiosk().store.queue.retry(image_id, actor()):
        kiosk().reader.wake()
    return redirect(url_for("result.page", public_id=public_id), 303)


@blueprint.post("/images/<int:image_id>/correct")
@open_to(Role.USER)
def correct(public_id: str, image_id: int) -> ResponseReturnValue:
    """Say otherwise what a refused picture shows, and have it read again."""
    examination = find_examination(public_id)
    if image_id not in [image.id for image in examination.images]:
        abort(404)
    said = facts_of_form(request.form, asked_by(kiosk().reader.status()))
    if kiosk().store.queue.correct(image_id, to_text(said), actor()):
        kiosk().reader.wake()
    return redirect(url_for("result.page", public_id=examination.public_id), 303)


def find_examination(public_id: str) -> ExaminationRecord:
    """The examination under this address, or that which holds its views now, else 404."""
    examination = kiosk().store.records.holder(public_id)
    if examination is None:
        abort(404)
    return examination


def _near(examination: ExaminationRecord) -> list[Plate]:
    """The first picture, bare, of each examination that may be another view of the same."""
    if len(examination.images) >= MAX_VIEWS or examination.source == TEST:
        return []
    store = kiosk().store
    found = [store.records.examination(one) for one in store.grouping.near(examination.public_id)]
    beside = [one for one in found if one and one.images and one.source != TEST]
    return [bare(plates(one, store.files)[0]) for one in beside]


def _earlier(public_id: str) -> list[Plate]:
    """The pictures that this examination can be compared with, newest first."""
    store = kiosk().store
    rows = earlier_examinations(store.database, public_id)
    found = [store.records.examination(row.public_id) for row in rows]
    return [
        bare(plate) if is_hidden(one) else plate
        for one in found
        if one
        for plate in plates(one, store.files, earlier=True)
    ]


def _ended(shown: list[Plate]) -> int:
    """How many views have an answer, or have failed."""
    return sum(plate.answer.state is not ScreenState.WORKING for plate in shown)


def _place(shown: list[Plate]) -> str:
    """Where the first waiting picture is, "" where none waits: the whole's would tell what is hidden."""
    answers = [plate.answer for plate in shown if plate.answer.state is ScreenState.WORKING]
    return place_words(answers[0]) if answers else ""


def _seen(shown: list[Plate], hidden: bool) -> str:
    """What a page with these plates shows: when this has changed, it is old."""
    return seen(shown, hidden, kiosk().reader.status().cannot_answer)
