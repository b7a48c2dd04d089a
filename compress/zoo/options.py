"""What a recipe says about the network."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import within


@dataclass(frozen=True)
class ModelOptions:
    """name: one of compress.zoo.NAMES. weights: "" for random, "imagenet" where the network has them.

    width: channel multiplier of networks that are built to size.
    """

    name: str = "cnn"
    weights: str = ""
    width: float = 1.0

    def __post_init__(self) -> None:
        within(0, 16, width=self.width)
