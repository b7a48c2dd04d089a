"""What a site knows of its examinations: what the box gave, and what people say it was. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from device_app.agreement import Share
from device_app.readings import OUTCOMES, Judgement, Kind, Said, outcome
from runtime.findings import OperatingPoints, Verdict

ALARMS = (Verdict.FRACTURE, Verdict.DOUBT)
"""Both send the patient on."""


class Source(StrEnum):
    """Where it is known from."""

    OUTCOME = "outcome"
    SECOND = "second"


@dataclass(frozen=True)
class Truth:
    """What it was, as far as people know."""

    fractured: bool
    source: Source


def truth(readings: Iterable[Said]) -> Truth | None:
    """Of one examination, its readings in the order in which they were given.

    The last outcome that anybody has stated; without one the last second reading, if that is sure. An own
    reading never counts: it says what somebody thought at first.
    """
    said = tuple(readings)
    end = outcome(said)
    if end is not None:
        return Truth(end.judgement is Judgement.FRACTURE, Source.OUTCOME)
    seconds = [one.judgement for one in said if one.kind is Kind.SECOND]
    if not seconds or seconds[-1] not in OUTCOMES:
        return None
    return Truth(seconds[-1] is Judgement.FRACTURE, Source.SECOND)


def of_pictures(readings: Iterable[Said], image_ids: Collection[int]) -> list[Said]:
    """What was said of exactly these: the view that made it a fracture may have been taken out since.

    Of a reading from before its pictures were kept only their number is known.
    """
    here = set(image_ids)
    return [
        said
        for said in readings
        if (said.views == len(here) if said.image_ids is None else set(said.image_ids) == here)
    ]


@dataclass(frozen=True)
class Answered:
    """An examination that the box answered, every view of it read and judged by the limits of pictures.

    examination: its public id. probability: of the whole. highest: of its views, which make it a doubt where
    one by itself suspects a fracture (runtime.examination). verdict: as it was given.
    """

    examination: str
    probability: float
    highest: float
    verdict: Verdict

    def at(self, points: OperatingPoints) -> Verdict:
        """What these limits would say of it."""
        told = points.decide(self.probability)
        suspected = self.highest >= points.high_specificity
        return Verdict.DOUBT if told is Verdict.NONE and suspected else told


@dataclass(frozen=True)
class Case:
    """One examination of which both are known."""

    answered: Answered
    truth: Truth


@dataclass(frozen=True)
class Evidence:
    """All that a site knows of one model's answers on one scale.

    answered: every examination once. truths: by examination. other: examinations that somebody followed up
    and that say nothing of these limits: of another model, with a view that was not read, judged apart, or
    followed up with other views than it has now.
    """

    answered: tuple[Answered, ...] = ()
    truths: Mapping[str, Truth] = field(default_factory=dict)
    other: int = 0

    @property
    def cases(self) -> tuple[Case, ...]:
        """Those that were followed up."""
        known = self.truths
        return tuple(Case(one, known[one.examination]) for one in self.answered if one.examination in known)

    def followed_up(self, *verdicts: Verdict) -> Share:
        """How many of those with such an answer were."""
        given = [one for one in self.answered if one.verdict in verdicts]
        return Share(sum(one.examination in self.truths for one in given), len(given))

    def known_from(self, source: Source) -> int:
        """How many of the followed-up are known from there."""
        return sum(case.truth.source is source for case in self.cases)


@dataclass(frozen=True)
class Figures:
    """What some limits do on followed-up examinations.

    sensitivity: of the fractures, suspected or doubted. specificity: of the others, called none.
    suspected: of the fractures, called one. unsuspected: of the others, not called one.
    """

    sensitivity: Share
    specificity: Share
    suspected: Share
    unsuspected: Share


def figures_at(cases: Iterable[Case], points: OperatingPoints) -> Figures:
    """The one source of such figures."""
    said = [(case.truth.fractured, case.answered.at(points)) for case in cases]
    broken = [verdict for fractured, verdict in said if fractured]
    others = [verdict for fractured, verdict in said if not fractured]
    return Figures(
        _share([verdict in ALARMS for verdict in broken]),
        _share([verdict is Verdict.NONE for verdict in others]),
        _share([verdict is Verdict.FRACTURE for verdict in broken]),
        _share([verdict is not Verdict.FRACTURE for verdict in others]),
    )


def _share(flags: list[bool]) -> Share:
    return Share(sum(flags), len(flags))
