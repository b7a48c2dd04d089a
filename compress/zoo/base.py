"""What every fracture network is: features, then a head whose evidence map is the answer, pooled.

The head is a 1x1 convolution applied before pooling rather than a linear layer after it. With mean pooling
the two are the same function (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization"),
and the map costs nothing: no gradients, no second pass, every engine can run it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.options import ModelOptions
from runtime.metadata import MetadataSpec


def pool(evidence: Tensor, sharpness: float) -> Tensor:
    """Pool (N, C, h, w) logits to (N, C).

    sharpness 0 is the mean; larger values come nearer to the maximum: log-mean-exp of Pinheiro & Collobert
    2015 ("From Image-level to Pixel-level Labeling with Convolutional Networks"), in which a small lesion is
    not averaged away. The maximum is taken out first, so that no exponent overflows, in FP16 either.
    """
    if sharpness == 0:
        return evidence.mean(dim=(2, 3))
    peak = evidence.amax(dim=(2, 3), keepdim=True)
    mean = ((evidence - peak) * sharpness).exp().mean(dim=(2, 3))
    return peak.flatten(1) + mean.log() / sharpness


class Head(nn.Module, ABC):
    """What makes logit and map of features; its scale of logits can be changed after training."""

    @abstractmethod
    def rescale(self, scale: float, shift: float) -> None:
        """Take up logit -> scale * logit + shift exactly, the map likewise. scale: positive."""


class EvidenceHead(Head):
    """(N, channels, h, w) features -> (logits (N, classes), map (N, classes, h, w))."""

    def __init__(self, channels: int, sharpness: float, classes: int = 1) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(channels, classes, kernel_size=1)
        self.sharpness = sharpness
        nn.init.normal_(self.classifier.weight, std=1 / math.sqrt(channels))
        assert self.classifier.bias is not None
        nn.init.zeros_(self.classifier.bias)

    def get_extra_state(self) -> Tensor:
        """The sharpness belongs to the checkpoint: matching logits after fine-tuning changes it."""
        return torch.tensor(self.sharpness, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """As saved."""
        self.sharpness = float(state)

    def rescale(self, scale: float, shift: float) -> None:
        """Log-mean-exp with sharpness r of the map m satisfies pool_{r/a}(a m + b) = a pool_r(m) + b."""
        assert self.classifier.bias is not None
        with torch.no_grad():
            self.classifier.weight.mul_(scale)
            self.classifier.bias.mul_(scale).add_(shift)
        self.sharpness /= scale

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the map they were pooled from."""
        evidence = self.classifier(features)
        return pool(evidence, self.sharpness), evidence


class StagedFeatures(nn.Module, ABC):
    """Features that say themselves what their stages are: see FractureNet.stages."""

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """From the input on; every parameter in exactly one."""


class FractureNet(nn.Module):
    """A network built for one input size; it carries what is needed to build it again.

    forward: image (N, 1, S, S) -> (logit (N, 1), map (N, 1, h, w)). A network whose first layer takes three
    channels repeats a gray image inside the graph, and takes (N, 3, S, S) in torch too. One whose strides do
    not divide the side resamples the image to the next side that they divide. One that takes facts
    of the patient (compress.zoo.fused) has a second input; the others pass over it.

    With `options.mirror` it looks, once it is trained, at the image and at its mirror image, and answers with
    the mean of both logits and of both maps (test-time augmentation, as in Krizhevsky, Sutskever & Hinton
    2012, "ImageNet Classification with Deep Convolutional Neural Networks"). In training it looks once.
    The logit is then no longer what its map would pool to, but the mean of two that are.
    """

    def __init__(self, features: nn.Module, head: Head, options: ModelOptions, size_px: int) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.options = options
        self.size_px = size_px
        self.multiple_px = 1

    def forward(self, image: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logit and evidence map."""
        if not self.mirrors:
            return self.look(image, metadata)
        facts = None if metadata is None else torch.cat([metadata, metadata])
        return _mean_of_both(*self.look(torch.cat([image, image.flip(-1)]), facts))

    def look(self, image: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logit and evidence map of the images as they are, each looked at once."""
        logit, evidence = self.head(self.features(self.as_taken(image)))
        return logit, evidence

    @property
    def mirrors(self) -> bool:
        """Whether forward looks at mirror images too: 2N of them behind N."""
        return self.options.mirror and not self.training

    def as_taken(self, image: Tensor) -> Tensor:
        """The image as the first layer takes it: its channels, a side that the layers' strides divide."""
        if image.shape[1] not in (1, self.options.channels):
            raise ValueError(f"expected 1 channel or {self.options.channels}, got {image.shape[1]}")
        if image.shape[1] != self.options.channels:
            image = torch.cat([image] * self.options.channels, dim=1)
        side_px = int(image.shape[-1])
        wanted_px = -(-side_px // self.multiple_px) * self.multiple_px
        if wanted_px == side_px:
            return image
        return F.interpolate(image, [wanted_px, wanted_px], mode="bilinear", align_corners=False)

    @property
    def metadata(self) -> MetadataSpec | None:
        """The facts of a patient that it takes as a second input; None for the picture alone."""
        return None

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One empty image, and where facts are taken, one patient of whom nothing is known."""
        image = torch.zeros(1, 1, self.size_px, self.size_px)
        return (image,) if self.metadata is None else (image, torch.zeros(1, self.metadata.width))

    @property
    def members(self) -> tuple[FractureNet, ...]:
        """The networks that an ensemble is made of (compress.zoo.ensemble); any other has none."""
        return ()

    def stages(self) -> list[nn.Module]:
        """What transfer learning freezes and releases as one, from the input to the head, which is the last.

        Every child of the features is a stage; children without filters of their own (normalisations,
        activations, padding) belong to the one before them. Features that are no sequence, or whose parts
        belong together otherwise, are StagedFeatures. Together the stages hold every parameter once, in the
        order in which an image passes them.
        """
        parts = self.features
        inside = parts.stages() if isinstance(parts, StagedFeatures) else split_at_filters(parts)
        return [*inside, self.head]

    def map_size(self) -> tuple[int, int]:
        """(h, w) of the evidence map."""
        with torch.no_grad():
            shape = self(torch.zeros(1, 1, self.size_px, self.size_px))[1].shape
        return int(shape[2]), int(shape[3])


def _mean_of_both(logit: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (2N, 1) and maps (2N, 1, h, w), of N images and then of their mirror images -> N of each."""
    logits, maps = torch.unflatten(logit, 0, (2, -1)), torch.unflatten(evidence, 0, (2, -1))
    return (logits[0] + logits[1]) / 2, (maps[0] + maps[1].flip(-1)) / 2


def split_at_filters(features: nn.Module) -> list[nn.Module]:
    """The children of a sequence, in runs that begin at a child with filters; anything else in one piece."""
    if not isinstance(features, nn.Sequential):
        return [features]
    runs: list[list[nn.Module]] = [[]]
    for child in features:
        has_filters = any(parameter.ndim > 1 for parameter in child.parameters())
        if has_filters and any(True for layer in runs[-1] for _ in layer.parameters()):
            runs.append([])
        runs[-1].append(child)
    return [nn.Sequential(*run) for run in runs]


def initialise(network: nn.Module) -> None:
    """Draw convolution weights so that activations keep their scale through ReLUs (He et al. 2015)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))


def channels_of(count: float, multiple: int = 8) -> int:
    """Round a channel count to a multiple that vector units and quantized kernels like, at least one."""
    return max(multiple, round(count / multiple) * multiple)
