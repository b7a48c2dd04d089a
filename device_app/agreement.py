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
        if not self.total:
            return 0.0, 1.0
        share, squared = self.count / self.total, _Z * _Z
        scale = 1 + squared / self.total
        middle = (share + squared / (2 * self.total)) / scale
        spread = share * (1 - share) / self.total + squared / (4 * self.total**2)
        reach = _Z / scale * math.sqrt(spread)
        return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True)
class Figures:
    """agreement: own readings with the box's answer. changed: own readings whose second one differs;
    towards_box: of these, those that then say what the box said. sensitivity: of confirmed fractures that the
    box has suspected or doubted. specificity: of confirmed others that it called none. own_sensitivity,
    own_specificity: the same of people's own readings.
    """

    agreement: Share
    changed: Share
    towards_box: Share
    sensitivity: Share
    specificity: Share
    own_sensitivity: Share
    own_specificity: Share


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
        sensitivity=_of_the_box(known, Judgement.FRACTURE),
        specificity=_of_the_box(known, Judgement.NONE),
        own_sensitivity=_of_people(known, Judgement.FRACTURE),
        own_specificity=_of_people(known, Judgement.NONE),
    )


def _own_and_second(group: Sequence[Said]) -> Iterable[tuple[Said, Said | None]]:
    for own in (said for said in group if said.kind is Kind.OWN):
        later = [said for said in group if said.kind is Kind.SECOND and said.actor == own.actor]
        yield own, later[-1] if later else None


def _of_the_box(known: Sequence[tuple[Said, Sequence[Said]]], truth: Judgement) -> Share:
    """Once an examination, by what the box had said when the outcome was stated."""
    said = [end.box_verdict for end, _ in known if end.judgement is truth and end.box_verdict]
    return _share(said, lambda verdict: _is_right(verdict, truth))


def _of_people(known: Sequence[tuple[Said, Sequence[Said]]], truth: Judgement) -> Share:
    own = [said for end, group in known if end.judgement is truth for said in group if said.kind is Kind.OWN]
    return _share(own, lambda said: _is_right(said.judgement, truth))


def _is_right(said: str, truth: Judgement) -> bool:
    """A doubt sends the patient on, as a suspicion does; what could not be read helps nobody."""
    return said in _ALARMS if truth is Judgement.FRACTURE else said == truth


def _share(items: Sequence[_Item], holds: Callable[[_Item], bool]) -> Share:
    return Share(sum(map(holds, items)), len(items))
