"""What a recipe says about the network."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import within

CHANNELS = (1, 3)
LARGEST_MAP_STRIDE = 64


@dataclass(frozen=True)
class ModelOptions:
    """name: one of compress.zoo.NAMES.

    weights: "" for random, "imagenet" where the network has them, or the path of a state dict with the names
    that are published for this network (.pth, .pt, .safetensors).
    width: channel multiplier of networks that are built to size.
    channels: what the first layer takes, 1 or 3. The input is gray either way; a network with 3 repeats it.
    map_stride: input pixels between two cells of the evidence map, 0 for the network's own.
    mirror: whether the answer is the mean of the image's and of its mirror image's (compress.zoo.base): twice
    the work, and the same answer for a left hand as for a right one.
    """

    name: str = "cnn"
    weights: str = ""
    width: float = 1.0
    channels: int = 1
    map_stride: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        within(0, 16, width=self.width)
        if self.channels not in CHANNELS:
            raise ValueError(f"channels must be 1 or 3, got {self.channels}")
        if not 0 <= self.map_stride <= LARGEST_MAP_STRIDE:
            raise ValueError(f"map_stride must be 0 to {LARGEST_MAP_STRIDE}, got {self.map_stride}")
