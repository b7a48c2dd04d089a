"""Figures from what people and the box have said of the same examinations. Pure: readings in, counts out.

Every share has a 95% interval after Wilson (1927): a clinic has few examinations, and ten out of ten is not
yet certainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from device_app.readings import Judgement, Kind, Said, outcome

_Item = TypeVar("_Item")
_Z = 1.959964  # of the normal distribution, for 95%
_ALARMS = (Judgement.FRACTURE, Judgement.DOUBT)
RENEWED_AFTER = 20
"""Own readings after which figures are counted anew where a single one must not be seen in them."""


@dataclass(frozen=True)
class Share:
    """count of total, with an interval in which the true share lies with 95%."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """None where there is nothing to count."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """(0, 1) where there is nothing to count."""
        return self.interval_at(_Z)

    def interval_at(self, z: float) -> tuple[float, float]:
        """With another certainty: z is of the normal distribution, both tails."""
        return _wilson(self.count / self.total, self.total, z) if self.total else (0.0, 1.0)

    def interval_of(self, units: float) -> tuple[float, float]:
        """As if only so many had been counted: pictures of one patient are alike."""
        return _wilson(self.count / self.total, units, _Z) if self.total and units > 0 else (0.0, 1.0)


@dataclass(frozen=True)
class Figures:
    """agreement: own readings with the box's answer. changed: own readings whose second one differs;
    towards_box: of these, those that then say what the box said. sensitivity: people's own readings of
    confirmed fractures that suspect or doubt. specificity: those of confirmed others that say none. The box's
    have a source of their own (device_app.site_points.cases).
    """

    agreement: Share
    changed: Share
    towards_box: Share
    sensitivity: Share
    specificity: Share


def of_many(readings: Sequence[Said]) -> Sequence[Said]:
    """Those up to the latest own reading that is one of whole twenties.

    Where people read first, figures before and after one reading would tell others what the box had said.
    """
    own = [number for number, said in enumerate(readings) if said.kind is Kind.OWN]
    whole = len(own) // RENEWED_AFTER * RENEWED_AFTER
    return readings[: own[whole - 1] + 1] if whole else ()


def figures(readings: Sequence[Said]) -> Figures:
    """Of all that was said at a site, in the order in which it was."""
    by_examination: dict[str, list[Said]] = {}
    for said in readings:
        by_examination.setdefault(said.examination, []).append(said)
    groups = list(by_examination.values())
    pairs = [pair for group in groups for pair in _own_and_second(group)]
    changed = [
        (own, second) for own, second in pairs if second is not None and second.judgement != own.judgement
    ]
    known = [(end, group) for group in groups if (end := outcome(group)) is not None]
    return Figures(
        agreement=_share(
            [own for own, _ in pairs if own.box_verdict], lambda own: own.judgement == own.box_verdict
        ),
        changed=Share(len(changed), len(pairs)),
        towards_box=_share(changed, lambda pair: pair[1].judgement == pair[0].box_verdict),
        sensitivity=_of_people(known, Judgement.FRACTURE),
        specificity=_of_people(known, Judgement.NONE),
    )


def _wilson(share: float, total: float, z: float) -> tuple[float, float]:
    squared = z * z
    scale = 1 + squared / total
    middle = (share + squared / (2 * total)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / total + squared / (4 * total**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _own_and_second(group: Sequence[Said]) -> Iterable[tuple[Said, Said | None]]:
    for own in (said for said in group if said.kind is Kind.OWN):
        later = [said for said in group if said.kind is Kind.SECOND and said.actor == own.actor]
        yield own, later[-1] if later else None


def _of_people(known: Sequence[tuple[Said, Sequence[Said]]], truth: Judgement) -> Share:
    own = [said for end, group in known if end.judgement is truth for said in group if said.kind is Kind.OWN]
    return _share(own, lambda said: _is_right(said.judgement, truth))


def _is_right(said: str, truth: Judgement) -> bool:
    """A doubt sends the patient on, as a suspicion does; what could not be read helps nobody."""
    return said in _ALARMS if truth is Judgement.FRACTURE else said == truth


def _share(items: Sequence[_Item], holds: Callable[[_Item], bool]) -> Share:
    return Share(sum(map(holds, items)), len(items))
