"""The largest loss that a gate allows: a difference, or a share of the reference's own figure."""

from __future__ import annotations

import re
from dataclasses import dataclass

ABSOLUTE, RELATIVE = "absolute", "relative"
_SHARE = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*%\s*", re.ASCII)


@dataclass(frozen=True)
class Margin:
    """amount: the difference, or with `relative` the share of the reference's figure, -1 to 1.

    The reference's figure is taken as it was measured: that it would differ on other patients moves a bound
    by the amount times that difference, which is small beside the bound's own width.
    """

    amount: float
    relative: bool = False

    @property
    def kind(self) -> str:
        """Absolute | relative."""
        return RELATIVE if self.relative else ABSOLUTE

    @property
    def asks_nothing(self) -> bool:
        """No share can fall by more than 1, or by more than itself."""
        return self.amount >= 1

    def absolute(self, reference: float) -> float:
        """As a difference, for a reference whose figure is `reference`."""
        return self.amount * reference if self.relative else self.amount

    def __str__(self) -> str:
        return f"{100 * self.amount:g}%" if self.relative else f"{self.amount:g}"


def parse_margin(value: float | str) -> Margin:
    """0.02 is a difference, "3%" a share of the reference's own figure. Raises ValueError for another text.

    The ranges are the caller's to check.
    """
    if not isinstance(value, str):
        return Margin(value)
    found = _SHARE.fullmatch(value)
    if found is None:
        raise ValueError(f'must be a number such as 0.02 or a share such as "3%", got {value!r}')
    return Margin(float(found.group(1)) / 100, relative=True)
