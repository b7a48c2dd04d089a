"""Capsules: Sabour, Frosst & Hinton 2017, "Dynamic Routing Between Capsules", its routing unrolled.

Primary capsules are vectors at every place of the image; each votes for two digit capsules, `fracture` and
`sound`, and three rounds of routing send the votes where they agree. The matrices that turn a primary
capsule into a vote are shared by all places (as in Hinton et al. 2018, "Matrix Capsules with EM Routing"):
one grouped 1x1 convolution, small, quantized like any other, and good for any input size. A digit capsule is
the mean over places of what reaches it, not the sum, so that its length does not grow with the image.

The evidence map is the agreement of each place's votes with the digit capsules they went to, projected on
their directions. Its mean over the image is exactly the capsules' lengths, and the logit is their weighted
difference: the paper's "length is the presence of the entity", with cross-entropy for its margin loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.zoo.base import EvidenceHead, FractureNet, channels_of, initialise
from compress.zoo.layers import conv_norm_relu, grid_of
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits

TRAITS = Traits()

_STEM = ((32, 7), (64, 3))
"""(channels at width 1, kernel) of each convolution before the capsules; each halves the image."""
_TYPES = 16
_PRIMARY_SIZE, _DIGIT_SIZE = 8, 16
_ENTITIES = 2
_ROUNDS = 3
_INITIAL_SCALE = 4.0
_LEAST_SQUARE = 1e-6


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """See compress.zoo.build."""
    layers: list[nn.Module] = []
    channels = options.channels
    for base, kernel in _STEM:
        layers.append(conv_norm_relu(channels, channels_of(base * options.width), 2, kernel))
        channels = channels_of(base * options.width)
    types = max(2, round(_TYPES * options.width))
    features = nn.Sequential(*layers, PrimaryCapsules(channels, types), DigitCapsules(types))
    initialise(features)
    return FractureNet(features, _head(), options, size_px)


class PrimaryCapsules(nn.Module):
    """A convolution whose channels are read as vectors, squashed to lengths below 1."""

    def __init__(self, inside: int, types: int) -> None:
        super().__init__()
        outside = types * _PRIMARY_SIZE
        self.convolution = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.normalisation = nn.BatchNorm2d(outside)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, types * 8, h / 2, w / 2)."""
        flat = self.normalisation(self.convolution(features))
        channels, (height, width) = int(flat.shape[1]), grid_of(flat)
        capsules = flat.reshape(-1, channels // _PRIMARY_SIZE, _PRIMARY_SIZE, height * width)
        return squash(capsules, dim=2).reshape(-1, channels, height, width)


class DigitCapsules(nn.Module):
    """Votes, routing, and what each place contributed in the end."""

    def __init__(self, types: int) -> None:
        super().__init__()
        self.types = types
        votes = types * _ENTITIES * _DIGIT_SIZE
        self.votes = nn.Conv2d(types * _PRIMARY_SIZE, votes, 1, groups=types, bias=False)

    def forward(self, primary: Tensor) -> Tensor:
        """(N, types * 8, h, w) -> agreement (N, entities, h, w), whose mean over places is a length."""
        height, width = grid_of(primary)
        votes: Tensor = self.votes(primary).reshape(-1, self.types, _ENTITIES, _DIGIT_SIZE, height * width)
        sent = votes / _ENTITIES
        agreement = _agreement(votes, sent)
        for number in range(1, _ROUNDS):
            sent = agreement.softmax(dim=2) * votes
            if number < _ROUNDS - 1:
                agreement = agreement + _agreement(votes, sent)
        digit = _gather(sent)
        evidence: Tensor = (sent * (digit / _length(digit, dim=3))).sum(dim=(1, 3))
        return evidence.reshape(-1, _ENTITIES, height, width)


def _agreement(votes: Tensor, sent: Tensor) -> Tensor:
    """How well each vote points with the capsule that `sent` makes: (N, types, entities, 1, L)."""
    return (votes * squash(_gather(sent), dim=3)).sum(dim=3, keepdim=True)


def _gather(sent: Tensor) -> Tensor:
    """(N, types, entities, 16, L) weighted votes -> digit capsules (N, 1, entities, 16, 1)."""
    digit: Tensor = sent.sum(dim=1, keepdim=True).mean(dim=4, keepdim=True)
    return digit


def squash(vectors: Tensor, dim: int) -> Tensor:
    """The same directions, lengths from [0, inf) to [0, 1): the paper's equation 1."""
    square = (vectors * vectors).sum(dim=dim, keepdim=True)
    shorter: Tensor = vectors * (square / (1 + square) / (square + _LEAST_SQUARE).sqrt())
    return shorter


def _length(vectors: Tensor, dim: int) -> Tensor:
    return ((vectors * vectors).sum(dim=dim, keepdim=True) + _LEAST_SQUARE).sqrt()


def _head() -> EvidenceHead:
    """`fracture` speaks for it, `sound` against it; the mean keeps the map's sum the logit."""
    head = EvidenceHead(_ENTITIES, sharpness=0.0)
    with torch.no_grad():
        head.classifier.weight.copy_(torch.tensor([_INITIAL_SCALE, -_INITIAL_SCALE]).reshape(1, 2, 1, 1))
    return head
