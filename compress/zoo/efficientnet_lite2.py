"""EfficientNet-Lite2: see efficientnet_lite.py."""

from __future__ import annotations

from compress.zoo.base import FractureNet
from compress.zoo.efficientnet_lite import LITE2, TRAITS, build_variant
from compress.zoo.options import ModelOptions

__all__ = ["TRAITS", "build"]


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    return build_variant(LITE2, options, size_px)
