"""Who may judge what, for the screens of a request."""

from __future__ import annotations

from device_app.access.gate import access, actor, signed_in
from device_app.access.roles import Role
from device_app.own_first import hides
from device_app.store.records import ExaminationRecord
from device_app.web import kiosk


def is_hidden(examination: ExaminationRecord) -> bool:
    """Whether the box's answer is hidden from whoever asks for it now."""
    if not access().settings.now().own_read_first:
        return False
    return hides(examination, kiosk().store.readings.of(examination.public_id), actor())


def may_judge() -> bool:
    """Whether whoever looks may give second readings and outcomes."""
    person = signed_in()
    return person is not None and person.role.may(Role.READER)


def names_of_people() -> dict[str, str]:
    """By the random name that the log and the readings have of them."""
    return {person.public_id: person.name for person in access().people.all()}
