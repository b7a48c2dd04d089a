"""Where wrong PINs are counted: those given at the box by themselves, and those that come over a network.

A stranger on the network could otherwise keep everybody from the box itself. Each of the two locks by itself:
whoever can try at both has twice as many tries, of which there are a few an hour.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from device_app.access.lockout import Tally
from device_app.store.models import Person, Setting


class Place(StrEnum):
    """From where somebody signs in."""

    BOX = "box"
    NETWORK = "network"


def tally_of(session: Session, person: Person, place: Place) -> Tally:
    """Of one person; none for what cannot be read."""
    if place is Place.BOX:
        return Tally(person.failures, person.locked_until_utc)
    row = session.get(Setting, _name(person))
    try:
        found = json.loads(row.value_json) if row else {}
        until = found.get("locked_until_utc")
        locked = datetime.fromisoformat(until).replace(tzinfo=None) if until else None
        return Tally(int(found.get("failures", 0)), locked)
    except (AttributeError, OverflowError, TypeError, ValueError, RecursionError):
        return Tally()


def keep_tally(session: Session, person: Person, place: Place, tally: Tally) -> None:
    """In the session's transaction."""
    if place is Place.BOX:
        person.failures, person.locked_until_utc = tally.failures, tally.locked_until_utc
        return
    until = tally.locked_until_utc
    said = {"failures": tally.failures, "locked_until_utc": until and until.isoformat()}
    session.merge(Setting(name=_name(person), value_json=json.dumps(said)))


def _name(person: Person) -> str:
    """Of a note of the box's own among the settings: it is no decision to be logged."""
    return f"network_tries_{person.id}"
