"""The first screen: hand over pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from flask import Blueprint, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from device_app.access.gate import access, actor, is_at_the_box, open_to
from device_app.access.roles import Role
from device_app.facts import asked_by, facts_of_form, to_text
from device_app.language import gettext
from device_app.store.records import (
    MAX_LABEL_CHARS,
    MAX_NAME_CHARS,
    QueueFullError,
    Receipt,
    Upload,
    display_text,
)
from device_app.web import full_words, kiosk, wants_json
from device_app.words import already_here
from runtime.errors import DiskFullError, InputError, StoreError
from runtime.metadata import PatientFacts

blueprint = Blueprint("upload", __name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `url` of its result page and `says`, or `error` and `hint`.

    examination: that newly holds it, to which other views can be added; "" where it was here already.
    """

    name: str
    status: int
    url: str = ""
    examination: str = ""
    known: bool = False
    says: str = ""
    error: str = ""
    hint: str = ""


@blueprint.get("/")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """The drop zone."""
    return _screen()


@blueprint.post("/pictures")
@open_to(Role.USER)
def receive() -> ResponseReturnValue:
    """Store each file and answer only after it is on disk and committed."""
    return take_in(_screen)


def take_in(screen: Callable[[Sequence[Outcome]], str], photographed: bool = False) -> ResponseReturnValue:
    """Store what the request's form holds. screen: the page that shows what became of several files.

    photographed: they are photographs of films.
    """
    files = [file for file in request.files.getlist("picture") if file.filename]
    upload = Upload(
        "",
        request.form.get("patient_label", ""),
        facts_json=to_text(_said(len(files))),
        actor=actor(),
        photographed=photographed,
        examination=request.form.get("examination", ""),
    )
    outcomes = _receive_all(files, upload, request.form.get("together") == "yes") or [_nothing_chosen()]
    kiosk().reader.wake()
    status = max(outcome.status for outcome in outcomes)
    if wants_json():
        return jsonify(outcomes=[asdict(outcome) for outcome in outcomes]), status
    if len(outcomes) == 1 and outcomes[0].url:
        return redirect(outcomes[0].url, 303)
    return screen(outcomes), status


def _receive_all(files: Sequence[FileStorage], upload: Upload, together: bool) -> list[Outcome]:
    """One after the other; those that belong together follow the first that is new."""
    outcomes = []
    for file in files:
        outcomes.append(_receive_one(file, upload))
        if together and not upload.examination:
            upload = replace(upload, examination=outcomes[-1].examination)
    return outcomes


def _screen(outcomes: Sequence[Outcome] = ()) -> str:
    asks = asked_by(kiosk().reader.status())
    wanted = request.args.get("examination", "")
    another = kiosk().store.records.holder(wanted) if wanted else None
    return render_template(
        "upload.html",
        outcomes=outcomes,
        full=" ".join(full_words()),
        asks=asks,
        another=another,
        is_new=_is_new(),
    )


def _is_new() -> bool:
    """Whether to offer, at the box itself, that it be set up."""
    try:
        return is_at_the_box() and not access().people.has_administrator()
    except StoreError:  # the page says already what is wrong with the box
        return False


def _said(pictures: int) -> PatientFacts:
    """Of several pictures sent at once nobody can say one view."""
    facts = facts_of_form(request.form, asked_by(kiosk().reader.status()))
    return facts if pictures == 1 else replace(facts, view="")


def _receive_one(file: FileStorage, upload: Upload) -> Outcome:
    name = display_text((file.filename or "").replace("\\", "/").rsplit("/", 1)[-1], MAX_NAME_CHARS)
    try:
        receipt = kiosk().store.records.receive(file.stream, replace(upload, file_name=name))
    except (InputError, StoreError, OSError) as error:
        return _not_stored(name, error)
    return _stored(name, receipt, upload)


def _stored(name: str, receipt: Receipt, upload: Upload) -> Outcome:
    label, facts_given = display_text(upload.patient_label, MAX_LABEL_CHARS), bool(upload.facts_json)
    if not receipt.known:
        url = url_for("result.page", public_id=receipt.public_id)
        says = gettext("Stored. It is being read.")
        if upload.examination not in ("", receipt.public_id):
            says = gettext("Stored by itself: the other examination is full. It is being read.")
        return Outcome(name, 201, url=url, examination=receipt.public_id, says=says)
    other = bool(label) and label != receipt.patient_label
    says = already_here(receipt.patient_label, other, facts_given)
    known, facts = "other" if other else "same", "unused" if facts_given else None
    photograph = "unused" if upload.photographed and not _has_photograph(receipt) else None
    url = url_for("result.page", public_id=receipt.public_id, known=known, facts=facts, photograph=photograph)
    return Outcome(name, 200, url=url, known=True, says=says)


def _has_photograph(receipt: Receipt) -> bool:
    """Whether the same bytes can have been sent as a photograph the first time too."""
    there = kiosk().store.records.examination(receipt.public_id)
    return there is not None and any(image.photographed for image in there.images)


def _not_stored(name: str, error: Exception) -> Outcome:
    if isinstance(error, InputError):
        return Outcome(name, 400, error=_refused(error), hint=gettext("Choose another file."))
    if isinstance(error, DiskFullError):
        what, step = full_words()
        return Outcome(name, 507, error=what, hint=step)
    if isinstance(error, QueueFullError):
        what = gettext("Too many pictures are waiting. This one was not stored.")
        step = gettext("Wait until some have been read, then send it again.")
        return Outcome(name, 503, error=what, hint=step)
    current_app.logger.error("a picture could not be stored", exc_info=error)
    what = gettext("The box could not store this picture.")
    step = gettext("Send it again. If it stays like this, tell whoever looks after the box.")
    return Outcome(name, 503, error=what, hint=step)


def _nothing_chosen() -> Outcome:
    return Outcome("", 400, error=gettext("No picture was chosen."), hint=gettext("Choose a file first."))


def _refused(error: InputError) -> str:
    limit_mb = kiosk().config.max_upload_bytes >> 20
    if "empty" in str(error):
        return gettext("The file is empty. It was not stored.")
    return gettext(
        "The file is too large: at most %(limit)s MB are taken. It was not stored.", limit=limit_mb
    )
