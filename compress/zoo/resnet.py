"""ResNet: He et al. 2016, "Deep Residual Learning for Image Recognition"; MONAI's, without its classifier.

The evidence map is the class-activation map of base.py at stride 32. Weights may be a state dict in
torchvision's layout (resnet18-*.pth, resnet50-*.pth); its names are those of MONAI's modules.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits
from compress.zoo.weights import fill, read_published

TRAITS = Traits(prunable=True, takes_files=True)

_PLANES = (64, 128, 256, 512)
_SHARPNESS = 1.0
_PARTS = ("conv1", "bn1", "act", "maxpool", "layer1", "layer2", "layer3", "layer4")
_CLASSIFIER = "fc."


def build_resnet(block: str, blocks: tuple[int, ...], options: ModelOptions, size_px: int) -> FractureNet:
    """block: "basic" or "bottleneck"; blocks: how many in each of the four stages. See compress.zoo.build."""
    from monai.networks.nets.resnet import ResNet

    whole = ResNet(
        block,
        list(blocks),
        [channels_of(planes * options.width) for planes in _PLANES],
        spatial_dims=2,
        n_input_channels=options.channels,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=False,
    )
    features = nn.Sequential(OrderedDict((name, getattr(whole, name)) for name in _PARTS))
    if options.weights:
        fill(features, read_published(options.weights, _own_name))
    return FractureNet(features, EvidenceHead(whole.in_planes, _SHARPNESS), options, size_px)


def _own_name(published: str) -> str:
    return "" if published.startswith(_CLASSIFIER) else published
