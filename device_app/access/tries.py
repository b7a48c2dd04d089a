"""Where wrong PINs are counted: those given at the box by themselves, and those that come over a network.

A stranger on the network could otherwise keep everybody from the box itself. Each of the two locks by itself:
whoever can try at both has twice as many tries, of which there are a few an hour.
"""

from __future__ import annotations

import ipaddress
import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from device_app.access.lockout import Tally
from device_app.store.models import Person, Setting


class Place(StrEnum):
    """From where somebody signs in."""

    BOX = "box"
    NETWORK = "network"


def place_of(address: str, host: str) -> Place:
    """From where a request comes: the box's own screen, or a network. host: on which the kiosk listens.

    A kiosk that listens on one address of a network is opened by it at the box too, and a connection from
    there comes from that address; no other machine can hold one under it.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return Place.NETWORK
    plain = getattr(found, "ipv4_mapped", None) or found
    return Place.BOX if plain.is_loopback or str(plain) == host else Place.NETWORK


def written_tally(tally: Tally) -> dict[str, Any]:
    """As JSON can hold it."""
    until = tally.locked_until_utc
    return {"failures": tally.failures, "locked_until_utc": until and until.isoformat()}


def read_tally(found: Any) -> Tally:
    """Of what was written; none for what cannot be understood."""
    try:
        until = found.get("locked_until_utc")
        locked = datetime.fromisoformat(until).replace(tzinfo=None) if until else None
        return Tally(max(0, int(found.get("failures", 0))), locked)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return Tally()


def tally_of(session: Session, person: Person, place: Place) -> Tally:
    """Of one person; none for what cannot be read."""
    if place is Place.BOX:
        return Tally(person.failures, person.locked_until_utc)
    row = session.get(Setting, _name(person))
    try:
        return read_tally(json.loads(row.value_json) if row else {})
    except (RecursionError, TypeError, ValueError):
        return Tally()


def keep_tally(session: Session, person: Person, place: Place, tally: Tally) -> None:
    """In the session's transaction."""
    if place is Place.BOX:
        person.failures, person.locked_until_utc = tally.failures, tally.locked_until_utc
        return
    session.merge(Setting(name=_name(person), value_json=json.dumps(written_tally(tally))))


def _name(person: Person) -> str:
    """Of a note of the box's own among the settings: it is no decision to be logged."""
    return f"network_tries_{person.id}"
