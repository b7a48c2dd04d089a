"""What a page shows of an examination, or a judgement rests on, as one short text: old once it differs. Pure.

While the box's answer is hidden from whoever looks (device_app.own_first), the text tells nothing of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from device_app.answers import waits
from device_app.plates import Plate
from device_app.store.records import ExaminationRecord, ImageRecord

_DIGITS = 16


def basis(examination: ExaminationRecord, hidden: bool) -> str:
    """Of a judgement: its pictures, whose they are said to be, how far each is and, unless hidden, what the
    box says of each.
    """
    whose = examination.patient_label, [image.names_other for image in examination.images]
    told = [_told(image, hidden) for image in examination.images]
    return _digest([examination.public_id, hidden, whose, told])


def is_basis(text: str, examination: ExaminationRecord) -> bool:
    """Whether a judgement with this basis is one of the examination as it is now."""
    return text in (basis(examination, hidden=True), basis(examination, hidden=False))


def seen(shown: Sequence[Plate], hidden: bool, cannot_answer: bool) -> str:
    """Of a page with all pictures of one examination."""
    examination = shown[0].examination
    pictures = [plate.has_picture for plate in shown]
    held = cannot_answer and any(map(waits, examination.images))  # nothing else tells of it
    return _digest([basis(examination, hidden), pictures, held])


def seen_of(plate: Plate) -> str:
    """Of one picture whose answer is shown."""
    return _digest([_told(plate.image, hidden=False), plate.has_picture])


def _told(image: ImageRecord, hidden: bool) -> tuple[object, ...]:
    progress = image.id, waits(image)
    return progress if hidden else (*progress, image.failure, image.verdict, image.findings_json)


def _digest(told: list[object]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:_DIGITS]
