"""Your read first: the box's answer stays hidden from somebody until she has stated her own. Pure.

Hidden is only what says fracture, doubt or none. That a picture cannot be read, or is not read yet, is no
answer that could lead anybody, and is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from device_app.answers import ANSWERED, Answer, ScreenState, answer
from device_app.plates import Plate
from device_app.readings import Said, has_read
from device_app.store.records import ExaminationRecord

_BARE = Answer(ScreenState.UNREADABLE)
"""Shows a picture with all its tools and nothing that the box has found."""


def hides(examination: ExaminationRecord, readings: Iterable[Said], actor: str) -> bool:
    """Whether there is an answer and this person has not read every one of its views yet."""
    if not any(answer(image).state in ANSWERED for image in examination.images):
        return False
    pictures = {image.id: image.received_utc for image in examination.images}
    return not has_read(readings, actor, pictures)


def bare(plate: Plate) -> Plate:
    """The picture alone."""
    return replace(plate, answer=_BARE, has_map=False, hidden=True)
