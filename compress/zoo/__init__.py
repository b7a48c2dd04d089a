"""The networks Ulna can train, by name; each lives in a file of its own that is imported on demand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError

if TYPE_CHECKING:
    from types import ModuleType

    from compress.zoo.base import FractureNet
    from compress.zoo.traits import Traits

NAMES = (
    "ann",
    "capsnet",
    "cnn",
    "cnn_attention",
    "cnn_rnn",
    "densenet121",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "resnet18",
    "resnet50",
    "rnn",
    "unet",
    "vit",
)
ENSEMBLE = "ensemble"
"""Made of trained networks (compress.steps.ensemble); a recipe names its file as weights."""


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """A network for gray (N, 1, size_px, size_px) input, in evaluation mode.

    Random weights follow torch's global seed. Raises RecipeError for a name, option or size that the network
    does not have, StepError where pretrained weights are not installed or do not fit.
    """
    module, traits = _module(options.name), traits_of(options.name)
    traits.require(options, size_px)
    multiple = traits.multiple(options)
    network = cast("FractureNet", module.build(options, -(-size_px // multiple) * multiple))
    network.size_px, network.multiple_px = size_px, multiple
    return network.eval()


def traits_of(name: str) -> Traits:
    """What the network can be asked for. Raises RecipeError for a name that does not exist."""
    return cast("Traits", _module(name).TRAITS)


def _module(name: str) -> ModuleType:
    if name not in (*NAMES, ENSEMBLE):
        raise RecipeError(f"no network {name!r}", f"networks: {', '.join(NAMES)}")
    return import_module(f"compress.zoo.{name}")
