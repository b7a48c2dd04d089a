"""People of every role."""

from __future__ import annotations

import functools

import pytest

from device_app.access import pins
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.store import Store

PINS = {Role.USER: "492741", Role.READER: "830271", Role.ADMINISTRATOR: "574038"}


_hashed_once = functools.cache(pins.hashed)
"""Slow on purpose."""


@pytest.fixture
def people(store: Store, monkeypatch: pytest.MonkeyPatch) -> People:
    """One of each role, named like it."""
    monkeypatch.setattr(pins, "hashed", _hashed_once)
    made = People(store.database)
    for role, pin in PINS.items():
        made.add(str(role), role, pin, "box")
    return made
