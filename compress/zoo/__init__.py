"""The networks Ulna can train, by name; each lives in a file of its own that is imported on demand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError

if TYPE_CHECKING:
    from compress.zoo.base import FractureNet

NAMES = ("cnn", "efficientnet_lite0")


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """A network for gray (N, 1, size_px, size_px) input, in evaluation mode.

    Random weights follow torch's global seed. Raises RecipeError for a name or option that does not exist,
    StepError where the pretrained weights are not installed.
    """
    if options.name not in NAMES:
        raise RecipeError(f"no network {options.name!r}", f"networks: {', '.join(NAMES)}")
    module = import_module(f"compress.zoo.{options.name}")
    return cast("FractureNet", module.build(options, size_px)).eval()
