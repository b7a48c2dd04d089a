"""The epochs of a training: first those on windows, then those on whole images."""

from __future__ import annotations

from dataclasses import dataclass

from compress.training.options import TrainOptions
from compress.training.schedule import Phase
from compress.training.windows import PER_IMAGE

_SETTLED_SHARE = 0.3  # of the learning rate, for whole images after windows: nothing is to be unlearnt


@dataclass(frozen=True)
class Course:
    """Two phases; epochs count from 0 through both."""

    windows: Phase
    images: Phase

    @property
    def epochs(self) -> int:
        """Of both."""
        return self.windows.epochs + self.images.epochs

    @property
    def batches(self) -> int:
        """Of all epochs."""
        return self.windows.steps + self.images.steps

    def is_on_windows(self, epoch: int) -> bool:
        """Whether it is of the first phase."""
        return epoch < self.windows.epochs

    def is_level(self, epoch: int) -> bool:
        """Whether it is one of the last, whose learning rate is constant."""
        return not self.is_on_windows(epoch) and epoch >= self.epochs - self.images.level_epochs

    def rate(self, epoch: int, batch: int) -> float:
        """Learning rate of a batch."""
        phase, number = self._at(epoch)
        return phase.rate(number, batch)

    def momentum(self, epoch: int, batch: int) -> float | None:
        """Momentum of a batch; None where the schedule leaves it alone."""
        phase, number = self._at(epoch)
        return phase.momentum(number, batch)

    def batches_before(self, epoch: int) -> int:
        """Of all epochs before this one."""
        cropped = min(epoch, self.windows.epochs)
        return cropped * self.windows.batches + (epoch - cropped) * self.images.batches

    def _at(self, epoch: int) -> tuple[Phase, int]:
        if self.is_on_windows(epoch):
            return self.windows, epoch
        return self.images, epoch - self.windows.epochs


def plan_course(options: TrainOptions, images: int) -> Course:
    """For a fit set of so many images."""
    batches, rate = max(1, images // options.batch_size), options.learning_rate
    settled = rate * _SETTLED_SHARE if options.crop_epochs else rate
    level_epochs = options.average.swa_epochs if options.average.kind == "swa" else 0
    return Course(
        windows=Phase(options.crop_epochs, max(1, batches * PER_IMAGE // 2), rate, options.schedule),
        images=Phase(
            options.epochs,
            batches,
            settled,
            options.schedule,
            level_epochs,
            settled * options.average.swa_rate,
        ),
    )
