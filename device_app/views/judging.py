"""Who may judge what, for the screens of a request."""

from __future__ import annotations

from device_app.access.gate import access, actor, signed_in
from device_app.access.roles import Role
from device_app.answers import ScreenState, answer
from device_app.own_first import hides
from device_app.store.records import ExaminationRecord
from device_app.web import kiosk


def is_hidden(examination: ExaminationRecord) -> bool:
    """Whether the box's answer is hidden from whoever asks for it now."""
    if not access().settings.now().own_read_first:
        return False
    return hides(examination, kiosk().store.readings.of(examination.public_id), actor())


def may_be_judged(examination: ExaminationRecord) -> bool:
    """Whether the box has said of all its pictures what it has to say."""
    return all(answer(image).state is not ScreenState.WORKING for image in examination.images)


def may_judge(examination: ExaminationRecord) -> bool:
    """Whether whoever looks may give second readings and outcomes of it now."""
    person = signed_in()
    return person is not None and person.role.may(Role.READER) and may_be_judged(examination)


def names_of_people() -> dict[str, str]:
    """By the random name that the log and the readings have of them."""
    return {person.public_id: person.name for person in access().people.all()}
