"""The first screen: hand over pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

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
from device_app.words import APART, already_here, stored_words
from runtime.errors import DiskFullError, InputError, StoreError
from runtime.metadata import PatientFacts

blueprint = Blueprint("upload", __name__)
INJURY, INJURIES = "yes", "injuries"
"""What the form calls several pictures of one patient; any other word is of several patients."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `url` of its result page and `says`, or `error` and `hint`.

    examination: that holds it, to which other views can be added; "" where that is another patient's as far
    as the labels say. known: it was here already. apart: it is not where it was to be.
    """

    name: str
    status: int
    url: str = ""
    examination: str = ""
    known: bool = False
    apart: bool = False
    says: str = ""
    error: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Given:
    """What the form says of the patient and of what the pictures show."""

    label: str = ""
    facts: PatientFacts = field(default_factory=PatientFacts)

    def __bool__(self) -> bool:
        return bool(self.label.strip() or self.facts)


@dataclass(frozen=True)
class Sent:
    """What comes with the files of a form.

    together: they are views of one injury. unused: the patient was said, but of which of them is not known.
    parted: one that belongs to them was here already, for another patient as far as the labels say.
    """

    upload: Upload
    together: bool = False
    unused: bool = False
    parted: bool = False


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
    outcomes = _receive_all(files, _sent(len(files), photographed)) or [_nothing_chosen()]
    kiosk().reader.wake()
    status = max(outcome.status for outcome in outcomes)
    if wants_json():
        return jsonify(outcomes=[asdict(outcome) for outcome in outcomes]), status
    if len(outcomes) == 1 and outcomes[0].url and not outcomes[0].apart:
        return redirect(outcomes[0].url, 303)
    return screen(outcomes), status


def _sent(files: int, photographed: bool) -> Sent:
    """The form without its files."""
    given = Given(request.form.get("patient_label", ""), _facts())
    wanted, together = request.form.get("examination", ""), request.form.get("together", "")
    several = files > 1 or "several" in request.form
    kept = of_all(given, INJURY if wanted else together) if several else given
    upload = Upload(
        "",
        kept.label,
        facts_json=to_text(kept.facts),
        actor=actor(),
        photographed=photographed,
        examination=wanted,
    )
    return Sent(upload, together == INJURY, bool(given) and not kept, "parted" in request.form)


def of_all(given: Given, together: str) -> Given:
    """As much of what was said once as is true of each of several pictures, which are not all one view."""
    if together == INJURY:
        return replace(given, facts=replace(given.facts, view=""))
    if together == INJURIES:
        return replace(given, facts=replace(given.facts, view="", body_part=""))
    return Given()


def _receive_all(files: Sequence[FileStorage], sent: Sent) -> list[Outcome]:
    """One after the other; those that belong together follow the first that can be followed."""
    outcomes = []
    for file in files:
        outcome = _receive_one(file, sent)
        outcomes.append(outcome)
        if sent.together and not sent.upload.examination:
            upload = replace(sent.upload, examination=outcome.examination)
            parted = sent.parted or (bool(outcome.url) and not outcome.examination)
            sent = replace(sent, upload=upload, parted=parted)
    return outcomes


def _screen(outcomes: Sequence[Outcome] = ()) -> str:
    asks = asked_by(kiosk().reader.status())
    wanted = request.values.get("examination", "")
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


def _facts() -> PatientFacts:
    return facts_of_form(request.form, asked_by(kiosk().reader.status()))


def _receive_one(file: FileStorage, sent: Sent) -> Outcome:
    name = display_text((file.filename or "").replace("\\", "/").rsplit("/", 1)[-1], MAX_NAME_CHARS)
    try:
        receipt = kiosk().store.records.receive(file.stream, replace(sent.upload, file_name=name))
    except (InputError, StoreError, OSError) as error:
        return _not_stored(name, error)
    return _already_here(name, receipt, sent) if receipt.known else _stored(name, receipt, sent)


def _stored(name: str, receipt: Receipt, sent: Sent) -> Outcome:
    why = str(receipt.apart) or ("parted" if sent.parted else None)
    says = [stored_words(kiosk().reader.status()), str(APART[why]) if why else "", _unused(sent)]
    url, words = url_for("result.page", public_id=receipt.public_id, apart=why), " ".join(filter(None, says))
    return Outcome(name, 201, url, receipt.public_id, apart=why is not None, says=words)


def _unused(sent: Sent) -> str:
    return gettext("What was said of the patient now was not taken.") if sent.unused else ""


def _already_here(name: str, receipt: Receipt, sent: Sent) -> Outcome:
    label, unused = _label(sent.upload), bool(sent.upload.facts_json) or sent.unused
    other = label != receipt.patient_label and bool(label or receipt.apart)
    why = str(receipt.apart) or None
    says = [already_here(receipt.patient_label, other, unused), str(APART[why]) if why else ""]
    url = url_for(
        "result.page",
        public_id=receipt.public_id,
        known="other" if other else "same",
        facts="unused" if unused else None,
        photograph="unused" if sent.upload.photographed and not _has_photograph(receipt) else None,
        apart=why,
    )
    follow = receipt.public_id if label == receipt.patient_label else ""
    words = " ".join(filter(None, says))
    return Outcome(name, 200, url, follow, known=True, apart=why is not None, says=words)


def _label(upload: Upload) -> str:
    """Of the patient whom a picture was sent for, in the form or by naming an examination."""
    wanted = kiosk().store.records.holder(upload.examination) if upload.examination else None
    given = display_text(upload.patient_label, MAX_LABEL_CHARS)
    return given or (wanted.patient_label if wanted else "")


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
