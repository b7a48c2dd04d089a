"""What a recipe says about a training or a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import at_least, within, within_or_at


@dataclass(frozen=True)
class AugmentOptions:
    """Strengths of the augmentations; 0 turns one off."""

    rotate_degrees: float = 15.0
    flip: bool = True
    zoom: float = 0.1
    exposure: float = 0.15
    noise: float = 0.02

    def __post_init__(self) -> None:
        within_or_at(0, 180, rotate_degrees=self.rotate_degrees)
        within_or_at(0, 1, exposure=self.exposure, noise=self.noise)
        if not 0 <= self.zoom < 1:
            raise ValueError(f"zoom must be at least 0 and below 1, got {self.zoom:g}")


@dataclass(frozen=True)
class TrainOptions:
    """One training or fine-tuning.

    label_smoothing, weight_decay, learning_rate: as the optimiser (AdamW, cosine schedule with warm-up)
    takes them. box_weight: weight of the evidence map's own loss against the fracture boxes.
    distill_weight: share of the loss that follows the unpruned model's logits (fine-tuning only).
    epochs: 0 leaves the weights as they are.
    crop_epochs: leading epochs, further to `epochs`, on small windows half of which hold a fracture.
    """

    epochs: int = 10
    crop_epochs: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    box_weight: float = 0.0
    distill_weight: float = 0.0
    augment: AugmentOptions = AugmentOptions()

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        at_least(0, epochs=self.epochs, crop_epochs=self.crop_epochs)
        within(0, 10, learning_rate=self.learning_rate)
        within_or_at(0, 1, distill_weight=self.distill_weight, weight_decay=self.weight_decay)
        within_or_at(0, 1000, box_weight=self.box_weight)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing:g}")
