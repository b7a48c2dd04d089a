"""The steps of setting a box up, and which are done. Pure; every step can be left out and come back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from device_app.settings import SiteSettings


class Step(StrEnum):
    """In this order."""

    LANGUAGE = "language"
    CLINIC = "clinic"
    ADMINISTRATOR = "administrator"
    DATE = "date"
    ENGINES = "engines"
    SOURCES = "sources"
    TEST = "test"


STEPS = tuple(Step)
SEEN = (Step.LANGUAGE, Step.DATE, Step.ENGINES, Step.SOURCES)
"""Done when somebody has said so: there is nothing else to tell it by."""


@dataclass(frozen=True)
class Facts:
    """What tells which steps are done. tested: whether the known picture has been answered."""

    settings: SiteSettings
    has_administrator: bool
    tested: bool


def done(facts: Facts) -> frozenset[Step]:
    """The steps that are."""
    site = facts.settings
    found = {step for step in SEEN if step in site.set_up}
    found |= {Step.CLINIC} if site.clinic else set()
    found |= {Step.ADMINISTRATOR} if facts.has_administrator else set()
    return frozenset(found | ({Step.TEST} if facts.tested else set()))


def before(step: Step) -> Step | None:
    """None for the first."""
    at = STEPS.index(step)
    return STEPS[at - 1] if at else None


def after(step: Step) -> Step | None:
    """None for the last."""
    at = STEPS.index(step) + 1
    return STEPS[at] if at < len(STEPS) else None


def clock_is_behind(now_utc: datetime, known_past_utc: list[datetime]) -> datetime | None:
    """The latest time that has certainly been, where the clock shows an earlier one; else None.

    A box without a battery for its clock begins at some date long ago.
    """
    latest = max(known_past_utc, default=now_utc)
    return latest if latest > now_utc else None
