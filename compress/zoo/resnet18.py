"""ResNet-18: see resnet.py."""

from __future__ import annotations

from compress.zoo.base import FractureNet
from compress.zoo.options import ModelOptions
from compress.zoo.resnet import TRAITS, build_resnet

__all__ = ["TRAITS", "build"]


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    return build_resnet("basic", (2, 2, 2, 2), options, size_px)
