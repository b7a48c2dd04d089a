"""How a network is trained with simulated quantization, where nothing else mended its INT8."""

from __future__ import annotations

from dataclasses import dataclass

from compress.fallback.options import confidence_of_look
from compress.limits import within_or_at
from compress.training.options import AugmentOptions, ScheduleOptions, TrainOptions


@dataclass(frozen=True)
class QatOptions:
    """epochs: over the fit patients; 0 leaves a branch stopped. learning_rate: the peak of the schedule.

    distill_weight: share of the loss that follows the original checkpoint, the rest follows the labels.
    features_weight: of what is added to it where features move away from those that the statistics of strange
    pictures were fitted to (compress.training.tie); 0 lets them go. keep: last | best, the epoch with the
    highest AUROC on the calibration patients. Values that are not here are those of a plain training.
    """

    epochs: int = 0
    batch_size: int = 32
    learning_rate: float = 3e-4
    distill_weight: float = 1.0
    features_weight: float = 1.0
    keep: str = "last"
    augment: AugmentOptions = AugmentOptions()
    schedule: ScheduleOptions = ScheduleOptions()

    def __post_init__(self) -> None:
        if not 0 < self.distill_weight <= 1:
            raise ValueError(f"distill_weight must be above 0 and at most 1, got {self.distill_weight:g}")
        within_or_at(0, 1000, features_weight=self.features_weight)
        assert self.training  # which refuses whatever no training can be asked for

    @property
    def is_active(self) -> bool:
        """Whether anything is trained at all."""
        return self.epochs > 0

    @property
    def training(self) -> TrainOptions:
        """The same as a training takes it: in fp32, since the rounding to learn is another one."""
        return TrainOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.0,  # it would pull away from what the original checkpoint says
            distill_weight=self.distill_weight,
            keep=self.keep,
            augment=self.augment,
            schedule=self.schedule,
        )

    def first_confidence(self, confidence: float) -> float:
        """Of the plain INT8's look at the gate: half the error, where a training may ask for another look.

        Each look after it errs half as often as the one before, so all of them together err less often than
        a single gate at `confidence`.
        """
        return confidence_of_look(confidence, 2) if self.is_active else confidence
