"""The first screen: hand over pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from device_app.language import gettext
from device_app.store.records import Upload, display_text
from device_app.web import full_words, kiosk, wants_json
from runtime.errors import DiskFullError, InputError, StoreError

blueprint = Blueprint("upload", __name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `url` of its result page, or `error` and `hint`."""

    name: str
    status: int
    url: str = ""
    known: bool = False
    error: str = ""
    hint: str = ""


@blueprint.get("/")
def page() -> ResponseReturnValue:
    """The drop zone."""
    return render_template("upload.html", outcomes=())


@blueprint.post("/pictures")
def receive() -> ResponseReturnValue:
    """Store each file and answer only after it is on disk and committed."""
    label = request.form.get("patient_label", "")
    files = [file for file in request.files.getlist("picture") if file.filename]
    outcomes = [_receive_one(file, label) for file in files] or [_nothing_chosen()]
    kiosk().reader.wake()
    status = max(outcome.status for outcome in outcomes)
    if wants_json():
        return jsonify(outcomes=[asdict(outcome) for outcome in outcomes]), status
    if len(outcomes) == 1 and outcomes[0].url:
        return redirect(outcomes[0].url, 303)
    return render_template("upload.html", outcomes=outcomes), status


def _receive_one(file: FileStorage, label: str) -> Outcome:
    name = display_text((file.filename or "").replace("\\", "/").rsplit("/", 1)[-1], 120)
    try:
        receipt = kiosk().store.records.receive(file.stream, Upload(name, label))
    except InputError as error:
        return Outcome(name, 400, error=_refused(error), hint=gettext("Choose another file."))
    except DiskFullError:
        what, step = full_words()
        return Outcome(name, 507, error=what, hint=step)
    except StoreError:
        return Outcome(
            name,
            503,
            error=gettext("Too many pictures are waiting. This one was not stored."),
            hint=gettext("Wait until some have been read, then send it again."),
        )
    url = url_for("result.page", public_id=receipt.public_id, known=1 if receipt.known else None)
    return Outcome(name, 200 if receipt.known else 201, url=url, known=receipt.known)


def _nothing_chosen() -> Outcome:
    return Outcome("", 400, error=gettext("No picture was chosen."), hint=gettext("Choose a file first."))


def _refused(error: InputError) -> str:
    limit_mb = kiosk().config.max_upload_bytes >> 20
    if "empty" in str(error):
        return gettext("The file is empty. It was not stored.")
    return gettext(
        "The file is too large: at most %(limit)s MB are taken. It was not stored.", limit=limit_mb
    )
