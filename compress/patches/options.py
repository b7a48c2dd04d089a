"""What a recipe says about made training windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from compress.limits import at_least, within, within_or_at

LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class PatchOptions:
    """share: of the windows, fractured and healthy ones alike, that are made; 0 makes none.

    steps, batch_size, learning_rate: of the adversarial training; one step sees batch_size fractured and as
    many healthy windows. width: channels of the networks' first layers. likeness: weight of the difference
    between a filled hole and what it hides, beside the critic's opinion. average: decay of the generator's
    moving average, which makes the windows.
    """

    share: float = 0.0
    steps: int = 1500
    batch_size: int = 8
    learning_rate: float = 5e-4
    width: int = 16
    likeness: float = 5.0
    average: float = 0.998

    def __post_init__(self) -> None:
        within_or_at(0, LARGEST_SHARE, share=self.share)
        at_least(1, steps=self.steps, batch_size=self.batch_size)
        at_least(4, width=self.width)
        within(0, 1, learning_rate=self.learning_rate, average=self.average)
        within_or_at(0, 1000, likeness=self.likeness)

    def learning(self) -> dict[str, Any]:
        """What shapes the generator: all but how much it is used."""
        return {name: value for name, value in asdict(self).items() if name != "share"}
