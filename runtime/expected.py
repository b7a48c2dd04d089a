"""What a bundle's maker saw on the gate patients, so that a site can tell whether it sees the same.

Prevalence differs from site to site, so healthy and fractured pictures are counted apart: whatever mix a site
has lies between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.findings import OperatingPoints

LOGIT_EDGES = tuple(half / 2 for half in range(-16, 17))
"""Between the bins of logits; the first and the last bin are open."""
BINS = len(LOGIT_EDGES) + 1


@dataclass(frozen=True)
class ClassAnswers:
    """Of pictures with one truth: what was said of them, and counts of their logits in BINS bins.

    Raises ValueError where the counts contradict one another.
    """

    fracture: int
    doubt: int
    none: int
    logits: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.logits) != BINS:
            raise ValueError(f"logits must be counts in {BINS} bins, got {len(self.logits)}")
        counts = (self.fracture, self.doubt, self.none, *self.logits)
        if min(counts) < 0:
            raise ValueError(f"counts must not be negative, got {min(counts)}")
        if sum(self.logits) != self.total:
            raise ValueError(f"logits count {sum(self.logits)} pictures, the answers {self.total}")

    @property
    def total(self) -> int:
        """Pictures that were answered."""
        return self.fracture + self.doubt + self.none


@dataclass(frozen=True)
class ExpectedAnswers:
    """The reference's answers on the gate patients.

    patients: how many, the unit of every interval. refused: pictures that got no answer; they are in neither
    class. healthy, fractured: the others, by truth.

    Raises ValueError for no patient, no answered picture, and fewer pictures than patients.
    """

    patients: int
    refused: int
    healthy: ClassAnswers
    fractured: ClassAnswers

    def __post_init__(self) -> None:
        if self.refused < 0:
            raise ValueError(f"refused must not be negative, got {self.refused}")
        if self.answered < 1:
            raise ValueError("expected answers need at least one answered picture")
        if not 1 <= self.patients <= self.pictures:
            raise ValueError(f"patients must be 1 to {self.pictures} (the pictures), got {self.patients}")

    @property
    def answered(self) -> int:
        """Pictures that got an answer."""
        return self.healthy.total + self.fractured.total

    @property
    def pictures(self) -> int:
        """All of them."""
        return self.answered + self.refused

    @property
    def prevalence(self) -> float:
        """Share of the answered pictures that show a fracture."""
        return self.fractured.total / self.answered

    @property
    def refusal_rate(self) -> float:
        """Share of all pictures that got no answer."""
        return self.refused / self.pictures


def count_answers(logits: NDArray[np.float64], points: OperatingPoints) -> ClassAnswers:
    """(N,) logits of pictures with one truth, and the thresholds they are decided by."""
    chances = 1.0 / (1.0 + np.exp(-np.clip(logits, -700, 700)))
    fracture = int((chances >= points.high_specificity).sum())
    none = int((chances < points.high_sensitivity).sum())
    bins = np.bincount(np.searchsorted(LOGIT_EDGES, logits, side="right"), minlength=BINS)
    return ClassAnswers(fracture, len(logits) - fracture - none, none, tuple(bins.tolist()))


def cumulative_at(counts: Sequence[int], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the counted pictures lie below each of (N,) logits; within a bin as if spread evenly.

    The open bins count as if they were as wide as the others.
    """
    step = LOGIT_EDGES[1] - LOGIT_EDGES[0]
    edges = (LOGIT_EDGES[0] - step, *LOGIT_EDGES, LOGIT_EDGES[-1] + step)
    return np.asarray(np.interp(logits, edges, np.concatenate([[0], np.cumsum(counts)])), np.float64)
