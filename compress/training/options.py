"""What a recipe says about a training or a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compress.limits import at_least, one_of, within, within_or_at

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "one_cycle")
FREEZING = ("full", "head", "gradual")
AVERAGES = ("none", "ema", "swa")
IMBALANCE = ("weight", "focal", "sampling", "none")
KEEP = ("best", "last")
BALANCE = ("label", "label_and_stratum")
PRECISIONS = ("fp32", "bf16", "auto")


@dataclass(frozen=True)
class AugmentOptions:
    """Strengths of the augmentations; 0 turns one off.

    rotate_degrees, zoom (a factor of 1 +- zoom), shift and elastic (shares of the side): either way. flip:
    mirror every other image. exposure: gain and gamma within a factor of exp(exposure). noise: standard
    deviation, where pixels are 0 to 1. contrast: a gamma between an image's darkest and brightest pixel,
    within a factor of exp(contrast). blur_px: largest standard deviation, of every other image. sharpen:
    largest weight of the detail that is added, to every other image. collimation: widest dark border, as a
    share of the side; an outlined fracture is never covered.
    """

    rotate_degrees: float = 15.0
    flip: bool = True
    zoom: float = 0.1
    exposure: float = 0.15
    noise: float = 0.02
    shift: float = 0.0
    elastic: float = 0.0
    contrast: float = 0.0
    blur_px: float = 0.0
    sharpen: float = 0.0
    collimation: float = 0.0

    def __post_init__(self) -> None:
        within_or_at(0, 180, rotate_degrees=self.rotate_degrees)
        within_or_at(0, 1, exposure=self.exposure, noise=self.noise)
        if not 0 <= self.zoom < 1:
            raise ValueError(f"zoom must be at least 0 and below 1, got {self.zoom:g}")
        within_or_at(0, 0.5, shift=self.shift, collimation=self.collimation)
        within_or_at(0, 0.05, elastic=self.elastic)
        within_or_at(0, 2, contrast=self.contrast)
        within_or_at(0, 10, blur_px=self.blur_px, sharpen=self.sharpen)

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return bool(self.flip or self.rotate_degrees or self.zoom or self.shift or self.elastic)

    @property
    def refocuses(self) -> bool:
        """Whether contrast or sharpness changes."""
        return bool(self.contrast or self.blur_px or self.sharpen)

    def in_place(self) -> AugmentOptions:
        """The same without what moves or covers pixels."""
        return replace(
            self, rotate_degrees=0.0, flip=False, zoom=0.0, shift=0.0, elastic=0.0, collimation=0.0
        )


@dataclass(frozen=True)
class OptimizerOptions:
    """kind: adamw | sgd (with Nesterov's momentum).

    momentum: of sgd, and first moment of adamw. clip_norm: longest gradient; 0 does not clip.
    """

    kind: str = "adamw"
    momentum: float = 0.9
    clip_norm: float = 2.0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, OPTIMIZERS)
        if not 0 < self.momentum < 1:
            raise ValueError(f"momentum must lie above 0 and below 1, got {self.momentum:g}")
        within_or_at(0, 1e6, clip_norm=self.clip_norm)


@dataclass(frozen=True)
class ScheduleOptions:
    """kind: cosine (a warm-up, then half a cosine to zero) | one_cycle (see compress.training.schedule).

    rise: share of the steps in which the learning rate grows; 0 takes what is usual for the kind.
    patience: whole-image epochs without a better one after which training ends; 0 never ends early.
    """

    kind: str = "cosine"
    rise: float = 0.0
    patience: int = 0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, SCHEDULES)
        if not 0 <= self.rise < 1:
            raise ValueError(f"rise must be at least 0 and below 1, got {self.rise:g}")
        at_least(0, patience=self.patience)


@dataclass(frozen=True)
class AverageOptions:
    """Weights that are judged and kept instead of those of the last step (compress.training.averaging).

    kind: none | ema | swa. decay: of ema, for one step. swa_epochs: the last so many whole-image epochs are
    averaged; in them the learning rate stays at swa_rate times its peak.
    """

    kind: str = "none"
    decay: float = 0.999
    swa_epochs: int = 3
    swa_rate: float = 0.2

    def __post_init__(self) -> None:
        one_of("kind", self.kind, AVERAGES)
        if not 0 < self.decay < 1:
            raise ValueError(f"decay must lie above 0 and below 1, got {self.decay:g}")
        at_least(1, swa_epochs=self.swa_epochs)
        if not 0 < self.swa_rate <= 1:
            raise ValueError(f"swa_rate must lie above 0 and be at most 1, got {self.swa_rate:g}")


@dataclass(frozen=True)
class TransferOptions:
    """How much of a network that has learnt something already may change. Stages: FractureNet.stages().

    freeze: full (every stage learns) | head (only the head does) | gradual (the head first, then more).
    frozen_stages: so many stages at the input never learn. unfreeze_epochs: epochs, counted from 1, with
    which gradual unfreezing releases `unfreeze_stages` more, from the head down; what is still frozen after
    the last stays so. layer_decay: the learning rate of a stage is this times that of the stage after it.
    """

    freeze: str = "full"
    frozen_stages: int = 0
    unfreeze_epochs: tuple[int, ...] = ()
    unfreeze_stages: int = 1
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        one_of("freeze", self.freeze, FREEZING)
        at_least(0, frozen_stages=self.frozen_stages)
        at_least(1, unfreeze_stages=self.unfreeze_stages)
        if (self.freeze == "gradual") != bool(self.unfreeze_epochs):
            raise ValueError('unfreeze_epochs and freeze = "gradual" need each other')
        if list(self.unfreeze_epochs) != sorted(set(self.unfreeze_epochs)) or 0 in self.unfreeze_epochs:
            raise ValueError(f"unfreeze_epochs must rise and begin at 1 or later, got {self.unfreeze_epochs}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must lie above 0 and be at most 1, got {self.layer_decay:g}")


@dataclass(frozen=True)
class ImbalanceOptions:
    """What makes the rarer class count.

    method: weight (its cross-entropy counts more) | focal (clear cases count less: focal_alpha, focal_gamma)
    | sampling (batches hold equally many of each label, or of each label in each stratum) | none.
    balance: label | label_and_stratum; a stratum is a body part. For sampling only.
    """

    method: str = "weight"
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    balance: str = "label"

    def __post_init__(self) -> None:
        one_of("method", self.method, IMBALANCE)
        one_of("balance", self.balance, BALANCE)
        within(0, 1, focal_alpha=self.focal_alpha)
        within_or_at(0, 10, focal_gamma=self.focal_gamma)


@dataclass(frozen=True)
class TrainOptions:
    """One training or fine-tuning.

    label_smoothing, weight_decay, learning_rate: as the optimiser takes them. learning_rate is the peak of
    the schedule. box_weight: weight of the evidence map's own loss against the fracture boxes.
    distill_weight: share of the loss that follows the teacher's logits, where there is one.
    epochs: 0 leaves the weights as they are.
    crop_epochs: leading epochs, further to `epochs`, on small windows half of which hold a fracture.
    keep: best (the epoch with the highest calibration AUROC) | last (whatever it scores: where calibration
    patients are few, the best epoch is the luckiest one, and their AUROC is flattered by the choice).
    precision: fp32 | bf16 (refused where the processor cannot) | auto (bf16 where it can).
    """

    epochs: int = 10
    crop_epochs: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    box_weight: float = 0.0
    distill_weight: float = 0.0
    keep: str = "best"
    precision: str = "fp32"
    augment: AugmentOptions = AugmentOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    average: AverageOptions = AverageOptions()
    transfer: TransferOptions = TransferOptions()
    imbalance: ImbalanceOptions = ImbalanceOptions()

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        at_least(0, epochs=self.epochs, crop_epochs=self.crop_epochs)
        within(0, 10, learning_rate=self.learning_rate)
        within_or_at(0, 1, distill_weight=self.distill_weight, weight_decay=self.weight_decay)
        within_or_at(0, 1000, box_weight=self.box_weight)
        one_of("precision", self.precision, PRECISIONS)
        one_of("keep", self.keep, KEEP)
        if self.keep == "last" and self.schedule.patience:
            raise ValueError("patience ends training after the best epoch, which keep = last does not keep")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing:g}")
        if self.average.kind == "swa" and self.average.swa_epochs > self.epochs:
            raise ValueError(f"swa_epochs must be at most epochs ({self.epochs}): {self.average.swa_epochs}")
