"""How a released model goes on learning."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import at_least, within_or_at


@dataclass(frozen=True)
class ImproveOptions:
    """How `ulna train --from BUNDLE --add CASES` goes on from a released model (compress.improve).

    epochs: on whole images. rate: the learning rate, as a share of that of [train]. distill_weight: share of
    the loss that follows the released model, so that what it knows is not forgotten (Li & Hoiem 2016,
    "Learning without Forgetting"). new_share: least share of new images in an epoch, reached by repeating
    them; 0 takes every image once. judge_new: whether the gate's margins hold for the new patients too.
    """

    epochs: int = 3
    rate: float = 0.1
    distill_weight: float = 0.3
    new_share: float = 0.0
    judge_new: bool = False

    def __post_init__(self) -> None:
        at_least(1, epochs=self.epochs)
        within_or_at(0, 1, distill_weight=self.distill_weight)
        if not 0 < self.rate <= 10:
            raise ValueError(f"rate must be above 0 and at most 10, got {self.rate:g}")
        if not 0 <= self.new_share < 1:
            raise ValueError(f"new_share must be at least 0 and below 1, got {self.new_share:g}")
