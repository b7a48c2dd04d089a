"""How long somebody who gave wrong PINs must wait. Pure; the count is kept, so a restart changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FREE_TRIES = 4
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Tally:
    """Wrong PINs in a row, and until when no other is looked at."""

    failures: int = 0
    locked_until_utc: datetime | None = None

    def wait(self, now_utc: datetime) -> timedelta:
        """How long from now; never longer than the longest lock. See `settled`."""
        if self.locked_until_utc is None:
            return timedelta(0)
        return min(max(self.locked_until_utc - now_utc, timedelta(0)), _LONGEST)

    def settled(self, now_utc: datetime) -> Tally:
        """The same, ending within the longest lock: one that ends later was set by another clock."""
        if self.locked_until_utc is None or self.locked_until_utc - now_utc <= _LONGEST:
            return self
        return Tally(self.failures, now_utc + _LONGEST)

    def failed(self, now_utc: datetime) -> Tally:
        """After another wrong PIN: the fifth costs a minute, each one after it twice the last."""
        failures = self.failures + 1
        beyond = failures - FREE_TRIES
        if beyond <= 0:
            return Tally(failures)
        return Tally(failures, now_utc + min(_LONGEST, _FIRST * 2 ** min(beyond - 1, 10)))
