"""Chooses the golden cases: pictures that every engine of a bundle must answer on a box as it did here."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.metadata import facts_of_case
from compress.predictions import Predictions
from runtime.errors import StepError
from runtime.findings import OperatingPoints, Verdict
from runtime.manifest import REFERENCE, GoldenCase
from runtime.metadata import NOTHING_SAID, MetadataSpec

_CLEAR = 1.25
"""How far a distance must lie from the one that is refused, for every engine's rounding."""


@dataclass(frozen=True, eq=False)
class GoldenPool:
    """What golden cases are chosen from.

    reference: the checkpoint's predictions on `cases`, in their order. answers: each engine's, by key, with
    how far its logits may lie from them on a box. own_points: by which an engine decides, where these are not
    `points`. strangeness: (N,) distance of each picture by the anomaly statistics, as a share of the one that
    is refused; None where there are none. strange_to: the same to each engine, by key, whose features are its
    own. metadata: the facts of a patient that the engines are told.

    Raises ValueError where predictions are not of these cases.
    """

    cases: tuple[Case, ...]
    points: OperatingPoints
    reference: Predictions
    answers: Mapping[str, tuple[Predictions, float]]
    strangeness: NDArray[np.float64] | None = None
    metadata: MetadataSpec | None = None
    own_points: Mapping[str, OperatingPoints] = field(default_factory=dict)
    strange_to: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def is_strange(self) -> NDArray[np.bool_]:
        """(N,) which pictures are refused."""
        return np.zeros(len(self.cases), bool) if self.strangeness is None else self.strangeness > 1

    def __post_init__(self) -> None:
        ids = [case.case_id for case in self.cases]
        for predictions in (self.reference, *(answer for answer, _ in self.answers.values())):
            if predictions.case_ids.tolist() != ids:
                raise ValueError("golden cases and predictions are not of the same images")

    def of(self, keys: Collection[str]) -> GoldenPool:
        """The same with these engines alone."""
        return replace(self, answers={key: self.answers[key] for key in keys})


def choose_golden(pool: GoldenPool, count: int) -> tuple[tuple[GoldenCase, Case], ...]:
    """Cases of different patients that all engines decide like the checkpoint, none near a threshold.

    Each decides by its own thresholds, where it has some, and tells strange pictures by its own features: one
    verdict, and one refusal, stands for all.

    Verdicts take turns; within one, the cases spread evenly over its range of logits, first those that are
    answered, then those that are refused as strange (computed ones may be, to a network that knows
    photographed bones; the engines must agree on logit and refusal all the same). Raises StepError where
    there is no clear fracture or no clear normal image.
    """
    chosen = _spread(pool, _eligible(pool), count)
    if not _is_enough(pool, chosen):
        raise StepError(
            "no golden cases: engines and checkpoint agree on no clear fracture or on no clear normal image",
            "use more gate patients or a better checkpoint",
        )
    return tuple(_golden(pool, number, i) for number, i in enumerate(chosen, 1))


def without_golden(pool: GoldenPool) -> tuple[str, ...]:
    """Keys of the engines that agree with the checkpoint on no clear fracture or on no clear normal image.

    () where the checkpoint alone has no such pictures: that is no engine's fault.
    """
    if not _is_enough(pool, _eligible(pool.of(()))):
        return ()
    return tuple(key for key in pool.answers if not _is_enough(pool, _eligible(pool.of((key,)))))


def _is_enough(pool: GoldenPool, chosen: Sequence[int]) -> bool:
    verdicts = {_verdict(pool.points, float(pool.reference.logits[i])) for i in chosen}
    return {Verdict.FRACTURE, Verdict.NONE} <= verdicts


def _eligible(pool: GoldenPool) -> list[int]:
    clear: NDArray[np.bool_] = np.ones(len(pool.cases), bool)
    if pool.strangeness is not None:
        own = (distances for key, distances in pool.strange_to.items() if key in pool.answers)
        told = np.stack([pool.strangeness, *own])
        clear = np.all(told <= 1 / _CLEAR, axis=0) | np.all(told >= _CLEAR, axis=0)
    wanted = np.digitize(pool.reference.logits, _logit_thresholds(pool.points))
    for key, (answer, tolerance) in pool.answers.items():
        thresholds = _logit_thresholds(pool.own_points.get(key, pool.points))
        distance = np.abs(answer.logits[:, None] - thresholds[None]).min(axis=1)
        clear &= (np.digitize(answer.logits, thresholds) == wanted) & (distance > tolerance)
    return [int(i) for i in np.flatnonzero(clear)]


def _spread(pool: GoldenPool, eligible: Sequence[int], count: int) -> list[int]:
    logits, strange = pool.reference.logits, pool.is_strange
    queues = [
        [
            *_evenly(sorted((i for i in own if not strange[i]), key=lambda i: float(logits[i])), count),
            *_evenly(sorted((i for i in own if strange[i]), key=lambda i: float(logits[i])), count),
        ]
        for verdict in (Verdict.FRACTURE, Verdict.NONE, Verdict.DOUBT)
        if (own := [i for i in eligible if _verdict(pool.points, float(logits[i])) is verdict])
    ]
    chosen: list[int] = []
    patients: set[str] = set()
    while len(chosen) < count and any(queues):
        for queue in queues:
            while queue and pool.cases[queue[0]].patient_id in patients:
                queue.pop(0)
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
                patients.add(pool.cases[chosen[-1]].patient_id)
    return chosen


def _evenly(ordered: list[int], count: int) -> list[int]:
    """`count` of them, evenly over the order, the others after them."""
    if not ordered:
        return []
    picks = {round(k * (len(ordered) - 1) / max(count - 1, 1)) for k in range(count)}
    return [ordered[k] for k in sorted(picks)] + [v for k, v in enumerate(ordered) if k not in picks]


def _golden(pool: GoldenPool, number: int, index: int) -> tuple[GoldenCase, Case]:
    case = pool.cases[index]
    logits = {key: round(float(answer.logits[index]), 6) for key, (answer, _) in pool.answers.items()}
    logits[REFERENCE] = round(float(pool.reference.logits[index]), 6)
    # The file's name says nothing about the patient.
    name = f"golden-{number:02d}"
    verdict = _verdict(pool.points, float(pool.reference.logits[index]))
    spec = pool.metadata
    facts = NOTHING_SAID if spec is None else spec.understand(facts_of_case(case)).facts
    file = f"golden/{name}{case.path.suffix.lower()}"
    strange = bool(pool.is_strange[index])
    return GoldenCase(name, file, str(verdict), logits, facts, strange), case


def _logit_thresholds(points: OperatingPoints) -> NDArray[np.float64]:
    values = (points.high_sensitivity, points.high_specificity)
    return np.array([math.log(value / (1 - value)) for value in values])


def _verdict(points: OperatingPoints, logit: float) -> Verdict:
    return points.decide(
        1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
    )
