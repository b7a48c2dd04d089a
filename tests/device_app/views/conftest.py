"""People of every role."""

from __future__ import annotations

import pytest

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.store import Store

PINS = {Role.USER: "492741", Role.READER: "830271", Role.ADMINISTRATOR: "574038"}


@pytest.fixture
def people(store: Store) -> People:
    """One of each role, named like it."""
    made = People(store.database)
    for role, pin in PINS.items():
        made.add(str(role), role, pin, "box")
    return made
