"""How far a quantized graph whose gate did not pass may be put back to float."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import at_least

LARGEST_CONFIDENCE = 0.995
"""Up to it the gate's quantiles are right."""


@dataclass(frozen=True)
class FallbackOptions:
    """budget: largest number of groups (convolutions and matrix products) put back to float; 0 leaves a
    branch stopped. looks: at the gate patients in all, the plain INT8's among them.
    """

    budget: int = 0
    looks: int = 2

    def __post_init__(self) -> None:
        at_least(0, budget=self.budget)
        at_least(2, looks=self.looks)


def confidence_of_look(confidence: float, look: int) -> float:
    """Each look after the first may err half as often as the one before: 1 - (1 - confidence) / 2^(look - 1).

    look: from 1. All of them together err less than twice as often as the first alone.
    """
    return 1 - (1 - confidence) * 0.5 ** (look - 1)
