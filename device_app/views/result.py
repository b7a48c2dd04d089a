"""One examination: the answer, the picture, what to do next."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from device_app.answers import ScreenState, answer, summary
from device_app.store.records import ExaminationRecord
from device_app.web import kiosk
from device_app.words import place_words

blueprint = Blueprint("result", __name__, url_prefix="/examinations/<public_id>")


@blueprint.get("/")
def page(public_id: str) -> ResponseReturnValue:
    """The result page; while waiting it looks again by itself."""
    examination = find_examination(public_id)
    shown = [(image, answer(image)) for image in examination.images]
    return render_template(
        "result.html",
        examination=examination,
        shown=shown,
        waiting=any(found.state is ScreenState.WORKING for _, found in shown),
        known=request.args.get("known", ""),
        facts_given=request.args.get("facts", "") == "unused",
    )


@blueprint.get("/state")
def state(public_id: str) -> ResponseReturnValue:
    """Where the examination is, for the page's script: `ended` counts its finished views."""
    examination = find_examination(public_id)
    found = summary(examination)
    ended = sum(answer(image).state is not ScreenState.WORKING for image in examination.images)
    held = kiosk().reader.status().cannot_answer
    return jsonify(state=found.state, place=place_words(found), ended=ended, held=held)


@blueprint.post("/images/<int:image_id>/retry")
def retry(public_id: str, image_id: int) -> ResponseReturnValue:
    """Read a failed picture once more, because a person asked for it."""
    examination = find_examination(public_id)
    if image_id not in [image.id for image in examination.images]:
        abort(404)
    if kiosk().store.queue.retry(image_id):
        kiosk().reader.wake()
    return redirect(url_for("result.page", public_id=public_id), 303)


def find_examination(public_id: str) -> ExaminationRecord:
    """The examination under this address, else 404."""
    examination = kiosk().store.records.examination(public_id)
    if examination is None:
        abort(404)
    return examination
