"""Whose picture's time is over, and when the disk will be full. Pure.

A box's clock may jump: one that suddenly says 2099 must not remove everything. So a clock is believed only
after the box has run for days without it jumping, and of all pictures only a small share goes in a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MIN_DAYS, MAX_DAYS = 30, 36_500
"""Days that pictures can be kept, besides for ever. Fewer would need more a day than may go."""
STEP = timedelta(days=7)
"""How far a clock may have gone on while the box was off, to be believed."""
BACK = timedelta(hours=1)
PROVEN_AFTER = timedelta(days=3)
"""Of running without a jump."""
SHARE_A_DAY, LEAST_A_DAY = 0.05, 20
PATIENCE = 2
"""How many times as long pictures are kept that have no answer, or that a patient has agreed to give away."""
RECENT = timedelta(days=14)
WARN_DAYS = 14


@dataclass(frozen=True)
class Clock:
    """What is known of the box's clock. seen_utc: when it was last looked at. proven: running since its last
    jump.
    """

    seen_utc: datetime
    proven: timedelta = timedelta(0)

    @property
    def is_trusted(self) -> bool:
        """Whether what it says may cost a picture."""
        return self.proven >= PROVEN_AFTER


FIRST_UTC = datetime(2026, 1, 1)
"""No kiosk took anything in before: a clock that says so is behind. A model's own date would not do, since a
new model would make every picture before it young again.
"""


@dataclass(frozen=True)
class Stored:
    """A picture whose bytes are here. received_utc: when it came, as far as that is believed. ended: read, or
    failed. answered: read. consented: the patient agrees that it leaves without her name.
    """

    image_id: int
    received_utc: datetime
    ended: bool
    answered: bool
    consented: bool
    sha256: str = ""


@dataclass(frozen=True)
class Removable:
    """image_ids: what may go now, oldest first. waiting: what else has had its time, and goes later.

    why: why it waits: "" | "clock" | "share".
    """

    image_ids: tuple[int, ...] = ()
    waiting: int = 0
    why: str = ""


def look_at(clock: Clock | None, now_utc: datetime, ran: timedelta) -> Clock:
    """The clock after another look. ran: since the last one of this process, or since it started."""
    if clock is None:
        return Clock(now_utc)
    step = now_utc - clock.seen_utc
    jumped = not -BACK <= step <= ran + STEP
    return Clock(now_utc) if jumped else replace(clock, seen_utc=now_utc, proven=clock.proven + ran)


def believed(received_utc: Iterable[datetime], now_utc: datetime) -> list[datetime]:
    """When pictures came at the earliest, in the order in which they came: the clock may have been behind.

    None came before one that came earlier, nor before there was this program. A time that has not come yet
    tells nothing of the pictures after it.
    """
    found, latest = [], FIRST_UTC if now_utc >= FIRST_UTC else datetime.min
    for moment in received_utc:
        if moment <= now_utc:
            latest = max(latest, moment)
        found.append(max(moment, latest))
    return found


def overdue(pictures: Iterable[Stored], keep_days: int, now_utc: datetime) -> tuple[int, ...]:
    """Those whose time is over, oldest first; none where pictures are kept for ever."""
    if keep_days == 0:
        return ()
    found = [one for one in pictures if one.ended and now_utc - one.received_utc > _time_of(one, keep_days)]
    return tuple(one.image_id for one in sorted(found, key=lambda one: (one.received_utc, one.image_id)))


def removable(image_ids: tuple[int, ...], stored: int, removed_lately: int, clock: Clock) -> Removable:
    """What of the overdue may go now. stored: pictures that are here. removed_lately: within a day."""
    if not clock.is_trusted:
        return Removable((), len(image_ids), "clock" if image_ids else "")
    most = max(0, max(LEAST_A_DAY, math.ceil(SHARE_A_DAY * stored)) - removed_lately)
    waiting = len(image_ids[most:])
    return Removable(image_ids[:most], waiting, "share" if waiting else "")


def days_left(room_bytes: int, taken_bytes: float, over: timedelta) -> float | None:
    """Until intake closes, at the rate at which pictures came lately; None where none came.

    room_bytes: that intake may still use. taken_bytes: of the disk, by all that came within `over`.
    """
    if taken_bytes <= 0 or over <= timedelta(0):
        return None
    return max(0, room_bytes) / (taken_bytes / (over / timedelta(days=1)))


def _time_of(one: Stored, keep_days: int) -> timedelta:
    longer = one.consented or not one.answered
    return timedelta(days=keep_days) * (PATIENCE if longer else 1)
