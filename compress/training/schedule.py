"""How the learning rate and the momentum go within one phase of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compress.training.options import ScheduleOptions

_USUAL_RISE = {"cosine": 0.08, "one_cycle": 0.3}
_FIRST_SHARE = 1 / 25
_LAST_SHARE = 1e-4
_MOMENTUM_LOW, _MOMENTUM_HIGH = 0.85, 0.95


@dataclass(frozen=True)
class Phase:
    """Epochs of one kind, with a learning rate that rises and falls within them.

    batches: in one epoch. peak_rate: the highest learning rate. level_epochs: so many epochs at the end have
    the constant rate `level_rate`.
    """

    epochs: int
    batches: int
    peak_rate: float
    schedule: ScheduleOptions
    level_epochs: int = 0
    level_rate: float = 0.0

    @property
    def steps(self) -> int:
        """Batches of all epochs."""
        return self.epochs * self.batches

    def rate(self, epoch: int, batch: int) -> float:
        """Learning rate of a batch; both count from 0."""
        if self._is_level(epoch):
            return self.level_rate
        return self.peak_rate * self._share(epoch, batch)

    def momentum(self, epoch: int, batch: int) -> float | None:
        """Momentum of a batch, None where the schedule leaves it alone.

        Under one_cycle it falls while the rate rises and rises while it falls.
        """
        if self.schedule.kind != "one_cycle" or self._is_level(epoch):
            return None
        height = (self._share(epoch, batch) - _LAST_SHARE) / (1 - _LAST_SHARE)
        return _MOMENTUM_HIGH - (_MOMENTUM_HIGH - _MOMENTUM_LOW) * height

    def _is_level(self, epoch: int) -> bool:
        return epoch >= self.epochs - self.level_epochs

    def _share(self, epoch: int, batch: int) -> float:
        total = (self.epochs - self.level_epochs) * self.batches
        rise = self.schedule.rise or _USUAL_RISE[self.schedule.kind]
        course = one_cycle if self.schedule.kind == "one_cycle" else cosine
        return course(epoch * self.batches + batch, total, rise)


def cosine(step: int, total: int, rise: float = _USUAL_RISE["cosine"]) -> float:
    """Share of the learning rate at `step` of `total`: a linear warm-up, then half a cosine to zero.

    Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.
    """
    warm_up = max(1, round(total * rise))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def one_cycle(step: int, total: int, rise: float = _USUAL_RISE["one_cycle"]) -> float:
    """Share of the learning rate at `step` of `total`: up from 1/25, then down to 1/10,000, along cosines.

    Smith 2018, "A disciplined approach to neural network hyper-parameters: Part 1"; the cosines instead of
    straight lines are what became usual after it.
    """
    top = max(1, round(total * rise))
    if step < top:
        return _between(_FIRST_SHARE, 1.0, step / top)
    return _between(1.0, _LAST_SHARE, (step - top) / max(1, total - 1 - top))


def _between(start: float, end: float, way: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(way, 1.0)))
