"""How many of the worst groups go back to float: 1, 2, 4, 8 and so on, until the gate passes.

Selection patients say what is worth a look; the verdict is the gate's, on others. The k-th graph that is
looked at is settled by the selection patients and by nothing that a look has shown but that it did not pass,
so a harmful graph passes at any look at most as often as the looks' errors add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from compress.checks import INCONCLUSIVE, PASS, Check
from compress.fallback.options import FallbackOptions
from compress.gate import Verdict

NOT_FASTER = "not faster"
_PROMISING_SHARE = 0.5
"""Of the margin: how much selection patients, too few to rule a loss out, may show lost."""


@dataclass(frozen=True)
class Screen:
    """What the selection patients said. promising: whether the gate is worth a look.

    losses: of every figure with a margin, by title; None where it could not be measured.
    """

    outcome: str
    promising: bool
    losses: dict[str, float | None]

    @classmethod
    def of(cls, verdict: Verdict) -> Screen:
        """A pass, or no more than too few patients with a loss below half of every margin."""
        small = verdict.outcome == INCONCLUSIVE and all(_is_small(check) for check in verdict.whole)
        losses = {item.title: None if item.difference is None else -item.difference for item in verdict.whole}
        return cls(verdict.outcome, verdict.outcome == PASS or small, losses)


@dataclass(frozen=True)
class Try:
    """Some groups in float. look: the number of the look at the gate that it was given, 0 for none.

    outcome: of that look (pass | fail | inconclusive | not faster), "" before it and for none.
    """

    groups: tuple[str, ...]
    screen: Screen
    look: int = 0
    outcome: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        screen = {"outcome": self.screen.outcome, "losses": self.screen.losses}
        return {"groups": list(self.groups), "screen": screen, "look": self.look, "outcome": self.outcome}


@dataclass(frozen=True)
class Found:
    """tries: all of them. why: what ended the search."""

    tries: tuple[Try, ...]
    why: str

    @property
    def restored(self) -> tuple[str, ...]:
        """Groups in float in the graph that passed, () where none did."""
        passed = [item.groups for item in self.tries if item.outcome == PASS]
        return passed[-1] if passed else ()


Screening = Callable[[tuple[str, ...]], Screen]
Looking = Callable[[Try, tuple[Try, ...]], str]
"""A try with its look's number, and those before it -> outcome of the look."""


def search(ranking: Sequence[str], options: FallbackOptions, screen: Screening, look: Looking) -> Found:
    """ranking: groups worth putting back, worst first. Only what `screen` promises is given a look."""
    tries: list[Try] = []
    used = 1  # the plain INT8's
    for count in stages(min(len(ranking), options.budget)):
        groups = tuple(ranking[:count])
        tried = Try(groups, screen(groups))
        if tried.screen.promising:
            used += 1
            asked = Try(groups, tried.screen, used)
            tried = Try(groups, tried.screen, used, look(asked, tuple(tries)))
        tries.append(tried)
        ended = _ended(tried, used, options)
        if ended:
            return Found(tuple(tries), ended)
    return Found(tuple(tries), _exhausted(len(ranking), options))


def stages(most: int) -> tuple[int, ...]:
    """1, 2, 4, 8 and so on below `most`, and that itself; () for 0."""
    powers = [2**power for power in range(most.bit_length())]
    return tuple(dict.fromkeys((*powers, most))) if most else ()


def _ended(tried: Try, used: int, options: FallbackOptions) -> str:
    """Why nothing more is tried, "" where something is."""
    if tried.outcome == PASS:
        return f"passed at look {tried.look}"
    if tried.outcome == NOT_FASTER:
        return "not shown to be faster than float; with more groups in float it would only be slower"
    return f"all {options.looks} looks at the gate are spent" if used >= options.looks else ""


def _exhausted(helpful: int, options: FallbackOptions) -> str:
    if not helpful:
        return "no group alone in float lowers the error"
    if helpful <= options.budget:
        return "every group that lowers the error is in float"
    return f"the budget of {options.budget} groups is spent"


def _is_small(check: Check) -> bool:
    if check.asks_nothing:
        return True
    if check.difference is None or check.margin is None:
        return False
    return -check.difference < _PROMISING_SHARE * check.margin
