"""The bytes of computed pictures; what people sent is never given to a browser."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, abort, send_file
from flask.typing import ResponseReturnValue

from device_app.access.gate import open_to
from device_app.access.roles import Role
from device_app.views.judging import is_hidden
from device_app.views.result import find_examination
from device_app.web import kiosk

blueprint = Blueprint("images", __name__, url_prefix="/examinations/<public_id>/images")


@blueprint.get("/<int:image_id>/<any(screen, thumb, heat):kind>.png")
@open_to(Role.USER)
def picture(public_id: str, image_id: int, kind: str) -> ResponseReturnValue:
    """One computed picture of one image of one examination."""
    return send_file(_path(public_id, image_id, kind), mimetype="image/png", max_age=0)


@blueprint.get("/<int:image_id>/values")
@open_to(Role.USER)
def values(public_id: str, image_id: int) -> ResponseReturnValue:
    """The gray values of one image in the form of device_app.gray_values; the browser inflates them."""
    answer = send_file(_path(public_id, image_id, "values"), mimetype="application/octet-stream", max_age=0)
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _path(public_id: str, image_id: int, kind: str) -> Path:
    """Of a computed file, else 404."""
    examination = find_examination(public_id)
    images = {image.id: image for image in examination.images}
    if image_id not in images or (kind == "heat" and is_hidden(examination)):
        abort(404)
    path = kiosk().store.files.derived_path(images[image_id].sha256, kind)
    if not path.is_file():
        abort(404)
    return path
