"""What the log says since a copy was made, done again to the rows that only the copy had.

A copy is as old as it is: a consent in it may have been taken back since, and a person in it may have been
let go. An entry is believed if it fits its own digest. That something never happened is believed only where
the log is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from device_app.access.roles import Role
from device_app.audit import Entry, faults, fits
from device_app.settings import CLOSED
from device_app.store.database import now_utc
from device_app.store.log import Action, chain
from device_app.store.models import AuditEntry, Examination, Image, Person, Setting
from device_app.store.removal import forget, forget_again, give_up_digest

_OF_CONSENT = (
    Action.CONSENT_GIVEN,
    Action.CONSENT_WITHDRAWN,
    Action.RECEIVED,
    Action.JOINED,
    Action.PARTED,
)
"""What gives it or ends it: it is one to the views that there were."""
NO_PIN = "none"
"""In place of a PIN's hash, which no PIN fits: somebody gives a new one."""


@dataclass(frozen=True)
class Kept:
    """What the present database still had, by numbers and names; end: of its log, the last entry's number."""

    examinations: frozenset[int]
    images: frozenset[int]
    people: frozenset[int]
    settings: frozenset[str]
    end: int

    @classmethod
    def of(cls, session: Session) -> Kept:
        """What a session holds before anything comes from a copy."""
        return cls(
            frozenset(session.scalars(select(Examination.id))),
            frozenset(session.scalars(select(Image.id))),
            frozenset(session.scalars(select(Person.id))),
            frozenset(session.scalars(select(Setting.name))),
            session.scalar(select(func.max(AuditEntry.number))) or 0,
        )


@dataclass(frozen=True)
class Since:
    """copied: number of the last entry that the copy knows. log_read, settings_read: whether all that the
    present database had of them could be read.
    """

    copied: int
    log_read: bool
    settings_read: bool


def replay(session: Session, kept: Kept, since: Since) -> None:
    """Once every row has those that it speaks of, and before pictures without a row get one: what was removed
    needs none.
    """
    whole = reaches_the_end(kept, since) and not faults(chain(session))
    _remove(session, kept, since.copied)
    _consents(session, kept, whole)
    _people(session, kept, since.copied)
    if not since.settings_read:
        _settings(session, kept, whole)
    session.flush()


def reaches_the_end(kept: Kept, since: Since) -> bool:
    """Whether the last entries of the log are known to be there."""
    return since.log_read and kept.end >= since.copied


def _entries(session: Session, *actions: Action, after: int = 0) -> Iterator[Entry]:
    """Those that are as they were written."""
    for written in chain(session, actions):
        if written.entry.number > after and fits(written):
            yield written.entry


def _remove(session: Session, kept: Kept, copied: int) -> None:
    """Of pictures that are gone; those that came again since are new ones, whose rows are lost. Labels,
    remarks and answers may come from a copy where the picture's own row does not.
    """
    gone: set[str] = set()
    for entry in list(_entries(session, Action.REMOVED, Action.RECEIVED, after=copied)):
        if entry.action == Action.REMOVED:
            digests = entry.detail.get("image_sha256s", ())
            wanted = select(Image).where(Image.sha256.in_(digests), Image.removed_utc.is_(None))
            lost = [one for one in session.scalars(wanted) if one.id not in kept.images]
            forget(session, lost, moment(entry.at_utc))
            gone |= {one.sha256 for one in lost}
        elif (digest := str(entry.detail.get("image_sha256"))) in gone:
            give_up_digest(session, digest)
            gone.remove(digest)
    forget_again(session)


def _consents(session: Session, kept: Kept, whole: bool) -> None:
    """One that only a copy has stands if the log knows of nothing since it was given."""
    last: dict[str, str] = {}
    for entry in _entries(session, *_OF_CONSENT):
        touched = (entry.subject, entry.detail.get("into"), entry.detail.get("now"))
        last |= {str(one): entry.action for one in touched if one}
    for row in session.scalars(select(Examination).where(Examination.consent_utc.is_not(None))):
        confirmed = whole and last.get(row.public_id) == Action.CONSENT_GIVEN
        if row.id not in kept.examinations and not confirmed:
            row.consent_utc = None


def _people(session: Session, kept: Kept, copied: int) -> None:
    """As they were changed since. Whoever has another PIN by now needs a new one: the copy has the old."""
    copies = {one.public_id: one for one in session.scalars(select(Person)) if one.id not in kept.people}
    before = [one for one in copies.values() if _administers(one)]
    for entry in _entries(session, Action.PERSON_CHANGED, Action.PIN_CHANGED, after=copied):
        if entry.subject in copies:
            _change(copies[entry.subject], entry)
    if not any(_administers(one) for one in session.scalars(select(Person))):
        for one in before:  # somebody must stay whom `ulna people pin` can give a PIN
            one.role, one.active, one.pin_hash = str(Role.ADMINISTRATOR), True, NO_PIN


def _change(person: Person, entry: Entry) -> None:
    if entry.action == Action.PIN_CHANGED:
        person.pin_hash = NO_PIN
    person.role = str(entry.detail.get("role", person.role))
    person.active = bool(entry.detail.get("active", person.active))


def _administers(person: Person) -> bool:
    return person.active and person.role == str(Role.ADMINISTRATOR)


def _settings(session: Session, kept: Kept, whole: bool) -> None:
    """As the log says. Where that cannot be told, answers are for those with a PIN, if anybody has one."""
    found: dict[str, Any] = {}
    if whole:
        found = {one.subject: one.detail.get("after") for one in _entries(session, Action.SETTING_CHANGED)}
    elif session.scalars(select(Person.id).limit(1)).first() is not None:
        found = dict.fromkeys(CLOSED, True)
    for name in found.keys() - kept.settings:
        session.merge(Setting(name=name, value_json=json.dumps(found[name])))


def moment(text: str) -> datetime:
    """Of an entry; now for one that cannot be told."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return now_utc()
