"""One examination on paper: a page to print, and the same as PDF."""

from __future__ import annotations

import hashlib
from datetime import UTC
from importlib.metadata import version
from pathlib import Path

from babel.core import Locale
from flask import Blueprint, Response, current_app, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from markupsafe import Markup
from sqlalchemy import select

from device_app.access.gate import access, actor, open_to
from device_app.access.roles import Role
from device_app.answers import summary
from device_app.facts import of_text
from device_app.language import gettext
from device_app.plates import plates
from device_app.report.channel import Job
from device_app.report.content import Material, sheet_of
from device_app.report.figures import picture_address
from device_app.report.fit import fitting
from device_app.report.pdf import PdfError, PdfMaker, Trouble
from device_app.report.samples import sample
from device_app.report.sheet import Sheet
from device_app.store.database import now_utc
from device_app.store.log import Action
from device_app.store.models import Image
from device_app.store.records import ExaminationRecord
from device_app.views.judging import is_hidden, names_of_people
from device_app.views.result import find_examination
from device_app.web import kiosk, moment
from runtime.metadata import PatientFacts

blueprint = Blueprint("report", __name__, url_prefix="/examinations/<public_id>")
MAKER = "ulna-pdf"
"""Where an application keeps its PdfMaker."""
_STYLE, _PDF = "report.css", "application/pdf"
_SHORT_ID = 6


@blueprint.record
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions.setdefault(MAKER, PdfMaker())


@blueprint.get("/report/")
@open_to(Role.USER)
def page(public_id: str) -> ResponseReturnValue:
    """The report to look at and to print."""
    examination = find_examination(public_id)
    if is_hidden(examination):
        return _read_first(examination.public_id)
    sheet_html = _sheet_html(fitting(_sheet(examination))[0])
    return render_template("report.html", examination=examination, sheet_html=sheet_html, style=_style())


@blueprint.get("/report.pdf")
@open_to(Role.USER)
def pdf(public_id: str) -> ResponseReturnValue:
    """The report as PDF; that it was made is logged before it is given out."""
    examination = find_examination(public_id)
    if is_hidden(examination):
        return _read_first(examination.public_id)
    if request.method == "HEAD":  # nothing is given out
        return Response(mimetype=_PDF)
    sheets, name = fitting(_sheet(examination)), _name(examination)
    papers = tuple(_paper(sheet, name) for sheet in sheets)
    try:
        made = _maker().make(Job(papers, _files(examination, sheets[0]), sample(_language())))
    except PdfError as error:
        return _no_pdf(examination.public_id, error.trouble)
    except OSError:
        return _no_pdf(examination.public_id, Trouble.FAILED)
    digests = {"html_sha256": _digest(papers[made.place].encode()), "pdf_sha256": _digest(made.pdf)}
    kiosk().store.log.note(actor(), Action.REPORTED, examination.public_id, **digests)
    return Response(
        made.pdf,
        mimetype=_PDF,
        headers={"Content-Disposition": f'attachment; filename="{name}.pdf"'},
    )


def _maker() -> PdfMaker:
    found = current_app.extensions[MAKER]
    assert isinstance(found, PdfMaker)
    return found


def _sheet(examination: ExaminationRecord) -> Sheet:
    store = kiosk().store
    return sheet_of(
        Material(
            examination=examination,
            plates=plates(examination, store.files),
            summary=summary(examination),
            box=kiosk().reader.status(),
            readings=store.readings.of(examination.public_id),
            names=names_of_people(),
            given=_given(examination),
            clinic=access().settings.now().clinic,
            printed_by=actor(),
            printed_utc=now_utc(),
            version=version("ulna"),
        ),
        moment,
    )


def _given(examination: ExaminationRecord) -> dict[int, PatientFacts]:
    """What people said of the patient when they sent each picture."""
    wanted = select(Image.id, Image.facts_json).where(
        Image.id.in_([image.id for image in examination.images])
    )
    with kiosk().store.database.read() as session:
        return {int(number): of_text(str(text)) for number, text in session.execute(wanted)}


def _sheet_html(sheet: Sheet) -> Markup:
    return Markup(render_template("report_sheet.html", sheet=sheet, direction=_direction()))  # noqa: S704


def _paper(sheet: Sheet, title: str) -> str:
    """The same sheet without the kiosk's frame."""
    return render_template(
        "report_paper.html",
        sheet_html=_sheet_html(sheet),
        title=title,
        style=_style(),
        direction=_direction(),
    )


def _files(examination: ExaminationRecord, sheet: Sheet) -> dict[str, bytes]:
    """All that the paper's HTML speaks of, by address. Raises OSError for a picture that has just gone."""
    digests = {picture_address(examination.public_id, image.id): image.sha256 for image in examination.images}
    stored, shown = kiosk().store.files, [view.picture.address for view in sheet.views if view.picture]
    files = {_style(): (Path(current_app.static_folder or "") / _STYLE).read_bytes()}
    return files | {
        address: stored.derived_path(digests[address], "screen").read_bytes() for address in shown
    }


def _style() -> str:
    return url_for("static", filename=_STYLE, v=version("ulna"))


def _direction() -> str:
    return str(Locale.parse(_language().replace("-", "_")).text_direction)


def _language() -> str:
    return str(get_locale() or "en")


def _name(examination: ExaminationRecord) -> str:
    """Of the file, and its title: nothing of the patient."""
    local = examination.received_utc.replace(tzinfo=UTC).astimezone()
    return f"ulna-report-{local:%Y-%m-%d}-{examination.public_id[:_SHORT_ID]}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_first(public_id: str) -> ResponseReturnValue:
    return _none(
        public_id,
        403,
        gettext("There is no report for you yet: say first what you see."),
        gettext("Open the picture and give your own reading. After that the report can be printed."),
    )


def _no_pdf(public_id: str, trouble: Trouble) -> ResponseReturnValue:
    """Why there is no PDF, and the way that is always there."""
    whats = {
        Trouble.BUSY: gettext("Other reports are being made into PDFs. No PDF was made."),
        Trouble.NO_PROGRAM: gettext("This box cannot make PDFs. No PDF was made."),
        Trouble.NO_FONT: gettext("This box has no letters for all words of this report. No PDF was made."),
        Trouble.FAILED: gettext("The PDF could not be made."),
    }
    step = gettext("Open the report and print it from the browser instead.")
    if trouble is Trouble.BUSY:
        step = gettext("Wait a little and try again, or print the report from the browser instead.")
    return _none(public_id, 503, whats[trouble], step)


def _none(public_id: str, status: int, what: str, step: str) -> ResponseReturnValue:
    return render_template(
        "report_none.html", public_id=public_id, what=what, step=step, can_print=status != 403
    ), status
