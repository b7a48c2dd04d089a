"""Where cases come from, and how patients are divided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compress.limits import at_least, one_of, seed_like, within_or_at

SMALLEST_PLATE_PX, LARGEST_PLATE_PX = 64, 4096
"""Long sides of computed radiographs."""
REFUSE, WARN, IGNORE = "refuse", "warn", "ignore"
LOOK_ALIKES = (REFUSE, WARN, IGNORE)
"""What to do about near-duplicates that stand in two sets."""


@dataclass(frozen=True)
class SyntheticOptions:
    """How many patients the generator makes when no --data is given, and how large their plates are."""

    patients: int = 900
    seed: int = 7
    long_side_px: int = 384

    def __post_init__(self) -> None:
        at_least(1, patients=self.patients)
        within_or_at(SMALLEST_PLATE_PX, LARGEST_PLATE_PX, long_side_px=self.long_side_px)
        seed_like("seed", self.seed)


@dataclass(frozen=True)
class SplitFractions:
    """Shares of the patients. The four sets are disjoint by patient.

    fit: weights, quantizer ranges. calibration: early stopping, operating points, what goes back to float.
    gate: every gate's verdict. test: the final figures, looked at once.
    """

    fit: float = 0.5
    calibration: float = 0.15
    gate: float = 0.25
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.fit, self.calibration, self.gate, self.test)
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"fit, calibration, gate and test must be positive and sum to 1, got {shares}")


@dataclass(frozen=True)
class DataOptions:
    """Where cases come from without --data, and how patients are divided.

    stratify: what must be spread evenly besides labels and body parts: "view" or columns of the data.
    official: the publisher's test images, or else validation images (tag or column "split"), are the test
    set; the other patients are divided, their three shares kept relative to each other. Cases that are added
    later (`--add`) are divided by patient.
    look_alikes: refuse | warn | ignore, what to do where images that look the same stand in two sets.
    Ignoring them saves reading every image once more; radiographs computed for want of --data are not
    looked at.
    also_without: "TAG=VALUE" of images without which the figures on new patients are given as well.
    outlines: file of fracture outlines (compress.training.outlines) in the folder of the data; "" for boxes.
    Cases that are added later (`--add`) have a file of that name in their own folder, or keep their boxes.
    """

    split: SplitFractions = SplitFractions()
    split_seed: int = 1
    stratify: tuple[str, ...] = ()
    also_without: tuple[str, ...] = ()
    outlines: str = ""
    official: bool = False
    look_alikes: str = REFUSE
    synthetic: SyntheticOptions = SyntheticOptions()

    def __post_init__(self) -> None:
        seed_like("split_seed", self.split_seed)
        one_of("look_alikes", self.look_alikes, LOOK_ALIKES)
        if Path(self.outlines).is_absolute() or ".." in Path(self.outlines).parts:
            raise ValueError(f"outlines must lie in the folder of the data, got {self.outlines}")
        wrong = [word for word in self.also_without if not word.partition("=")[0] or "=" not in word]
        if wrong:
            raise ValueError(f'also_without must be written as "TAG=VALUE", got {", ".join(wrong)}')
