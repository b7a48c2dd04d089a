"""All examinations, newest first."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from device_app import storage_words
from device_app.access.gate import open_to
from device_app.access.roles import Role
from device_app.answers import summary, waits
from device_app.store.aside import lying_aside
from device_app.views.judging import is_hidden
from device_app.web import kiosk

blueprint = Blueprint("history", __name__)


@blueprint.get("/history")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """One page of examinations."""
    number = request.args.get("page", default=1, type=int)
    found = kiosk().store.records.history(number, kiosk().config.page_size)
    rows = [(one, summary(one), is_hidden(one), any(map(waits, one.images))) for one in found.examinations]
    aside = lying_aside(kiosk().store.files)
    return render_template("history.html", found=found, rows=rows, aside=aside, storage_words=storage_words)
