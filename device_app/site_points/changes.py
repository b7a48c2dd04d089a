"""What other limits would have made of the examinations that are stored here. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from device_app.site_points.cases import ALARMS, Evidence
from runtime.findings import OperatingPoints, Verdict


@dataclass(frozen=True)
class Changes:
    """Of all stored examinations on the scale of these limits.

    moved: how many go from one answer to another, other than their own. fractures: confirmed ones. lost: of
    these, found by the limits in force and called none by the new ones; gained: the other way round.
    relieved: confirmed others that would no longer be an alarm; alarmed: that would become one.
    """

    examinations: int
    moved: dict[tuple[Verdict, Verdict], int]
    fractures: int
    others: int
    lost: int
    gained: int
    relieved: int
    alarmed: int

    @property
    def different(self) -> int:
        """Answers that would be others."""
        return sum(self.moved.values())


def changes(evidence: Evidence, before: OperatingPoints, after: OperatingPoints) -> Changes:
    """before: the limits in force, by which older answers are judged here too."""
    both = {one.examination: (one.at(before), one.at(after)) for one in evidence.answered}
    moved = Counter(pair for pair in both.values() if pair[0] is not pair[1])
    known = evidence.cases
    told = Counter((case.truth.fractured, *_alarms(*both[case.answered.examination])) for case in known)
    fractures = sum(case.truth.fractured for case in known)
    return Changes(
        examinations=len(both),
        moved=dict(moved),
        fractures=fractures,
        others=len(known) - fractures,
        lost=told[True, True, False],
        gained=told[True, False, True],
        relieved=told[False, True, False],
        alarmed=told[False, False, True],
    )


def _alarms(before: Verdict, after: Verdict) -> tuple[bool, bool]:
    return before in ALARMS, after in ALARMS
