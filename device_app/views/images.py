"""The bytes of computed pictures; what people sent is never given to a browser."""

from __future__ import annotations

from flask import Blueprint, abort, send_file
from flask.typing import ResponseReturnValue

from device_app.views.result import find_examination
from device_app.web import kiosk

blueprint = Blueprint("images", __name__, url_prefix="/examinations/<public_id>/images")


@blueprint.get("/<int:image_id>/<any(screen, thumb, heat):kind>.png")
def picture(public_id: str, image_id: int, kind: str) -> ResponseReturnValue:
    """One computed picture of one image of one examination."""
    images = {image.id: image for image in find_examination(public_id).images}
    if image_id not in images:
        abort(404)
    path = kiosk().store.files.derived_path(images[image_id].sha256, kind)
    if not path.is_file():
        abort(404)
    return send_file(path, mimetype="image/png", max_age=0)
