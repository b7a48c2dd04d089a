"""The classical models as modules: fixed numbers, nothing left to train, one answer and one map.

The map of every one of them has the logit as its mean. Logistic regression is linear over the cells: its map
is the class activation map (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization"), the
answer itself laid out. The other maps show what was learned from the fracture boxes, raised or lowered as a
whole: for the bag of words how much commoner a cell's words are in fractures; for trees, which answer for the
whole image only, the scores of a window classifier that they get to see pooled.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from compress.classical.features import CellFeatures
from compress.classical.words import Vocabulary
from compress.zoo.base import pool as log_mean_exp

Floats = NDArray[np.float64]
PYRAMID = (1, 2, 4)
REGIONS = sum(parts * parts for parts in PYRAMID)
_SHARPNESSES = (0.0, 1.0, 4.0)
LEAST_PROBABILITY = 1e-5
"""Nearer to 0 and 1 a float32 probability holds no logit, and a forest may say exactly 0."""


@dataclass(frozen=True)
class LogitScale:
    """logit = slope * score + shift: Platt 1999, "Probabilistic Outputs for Support Vector Machines"."""

    slope: float = 1.0
    shift: float = 0.0

    def apply(self, scores: Floats) -> Floats:
        """(N,) scores -> (N,) logits."""
        return scores * self.slope + self.shift

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)


class Moments(nn.Module):
    """image -> summaries and their squares (N, 2 C, h, w): over the cells, means and mean squares."""

    def __init__(self, features: CellFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, image: Tensor) -> Tensor:
        """Both moments of each cell."""
        return squared_too(self.features(image)[1])


class Words(nn.Module):
    """image -> memberships in the visual words (N, K, h, w)."""

    def __init__(self, features: CellFeatures, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.features = features
        self.vocabulary = vocabulary

    def forward(self, image: Tensor) -> Tensor:
        """Of each cell."""
        memberships: Tensor = self.vocabulary(self.features(image)[0])
        return memberships


class Pooled(nn.Module):
    """image -> (N, C * 21): what `cells` (-> (N, C, h, w)) says, averaged over the regions of the pyramid."""

    regions: Tensor

    def __init__(self, cells: nn.Module, side_cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("regions", pyramid(side_cells))

    def forward(self, image: Tensor) -> Tensor:
        """Channel by channel, its regions side by side."""
        return pool(self.cells(image), self.regions)


class LinearNet(nn.Module):
    """image -> (logit (N, 1), map (N, 1, h, w)): a linear model of `Pooled(cells)`, unfolded over the cells.

    A mean over regions, weighted, is a mean over cells, each weighted by the regions that it lies in: so the
    weights go into a 1x1 convolution with one channel a region. weights: (C * 21,). bias: of the logit.
    """

    coverage: Tensor

    def __init__(self, cells: nn.Module, weights: Floats, bias: float, side_cells: int) -> None:
        super().__init__()
        self.cells = cells
        by_region = torch.from_numpy(weights.reshape(-1, REGIONS).T.copy())
        self.head = nn.Conv2d(by_region.shape[1], REGIONS, kernel_size=1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(by_region[:, :, None, None])
        self.register_buffer("coverage", pyramid(side_cells)[None, :, 0] * side_cells**2)
        self.bias = bias

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of the map, and the map."""
        return self.answer(self.cells(image))

    def answer(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """The same from what the cells say, (N, C, h, w)."""
        evidence = (self.head(cells) * self.coverage).sum(dim=1, keepdim=True) + self.bias
        return evidence.mean(dim=(2, 3)), evidence


class WordNet(nn.Module):
    """image -> (logit, map): a linear model of the bag of words, and each cell's words as its evidence.

    evidence: (K,) of each word, see WordCounts; the map is moved to have the logit as its mean.
    """

    def __init__(self, bag: LinearNet, evidence: Floats) -> None:
        super().__init__()
        self.bag = bag
        self.evidence = cell_layer(evidence)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The bag's logit, the words' map."""
        memberships = self.bag.cells(image)
        logit = self.bag.answer(memberships)[0]
        return logit, moved(self.evidence(memberships), logit)


class Windows(nn.Module):
    """image -> summaries (N, C, h, w) of the cells, and scores (N, 1, h, w) of the windows round them.

    The linear detector of Dalal & Triggs 2005, here with the texture's channels too. weights: (D,).
    """

    def __init__(self, features: CellFeatures, weights: Floats, bias: float) -> None:
        super().__init__()
        self.features = features
        self.score = cell_layer(weights, bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Summaries of the cells, and their scores."""
        descriptors, summaries = self.features(image)
        return summaries, self.score(descriptors)


class ForestInputs(nn.Module):
    """image -> (vector (N, F) for the trees, evidence (N, 1, h, w): the scores of the windows).

    vector: both moments of the summaries over the regions of the pyramid, then the windows' scores pooled
    from their mean to their maximum.
    """

    regions: Tensor

    def __init__(self, windows: Windows, side_cells: int) -> None:
        super().__init__()
        self.windows = windows
        self.register_buffer("regions", pyramid(side_cells))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What the trees see, and what the map is made of."""
        summaries, scores = self.windows(image)
        moments = pool(squared_too(summaries), self.regions)
        pooled = [log_mean_exp(scores, sharpness) for sharpness in _SHARPNESSES]
        return torch.cat([moments, *pooled, scores.amax(dim=(2, 3))], dim=1), scores


class ForestAnswer(nn.Module):
    """(probabilities (N, 2), evidence (N, 1, h, w)) -> (logit (N, 1), map (N, 1, h, w))."""

    def __init__(self, scale: LogitScale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, probabilities: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """The fracture's probability as a calibrated logit, and the evidence moved to have it as its mean."""
        fracture = probabilities[:, 1:].clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        logit = self.scale.slope * (fracture.log() - (1 - fracture).log()) + self.scale.shift
        return logit, moved(evidence, logit)


class ForestNet(nn.Module):
    """image -> (logit, map), the trees too in standard operators; `trees`: vector -> probabilities (N, 2)."""

    def __init__(self, inputs: ForestInputs, trees: nn.Module, answer: ForestAnswer) -> None:
        super().__init__()
        self.inputs = inputs
        self.trees = trees
        self.answer = answer

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logit and map."""
        vector, evidence = self.inputs(image)
        logit, raised = self.answer(self.trees(vector), evidence)
        return logit, raised


def moved(evidence: Tensor, logit: Tensor) -> Tensor:
    """The map (N, 1, h, w), raised or lowered as a whole so that its mean is the logit (N, 1)."""
    return evidence + (logit - evidence.mean(dim=(2, 3)))[:, :, None, None]


def cell_layer(weights: Floats, bias: float = 0.0) -> nn.Conv2d:
    """A linear function of each cell's channels as a 1x1 convolution. weights: (C,)."""
    layer = nn.Conv2d(len(weights), 1, kernel_size=1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights)[None, :, None, None])
        layer.bias.fill_(bias)  # type: ignore[union-attr]
    return layer


def squared_too(summaries: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, 2 C, h, w)."""
    return torch.cat([summaries, summaries * summaries], dim=1)


def pool(planes: Tensor, regions: Tensor) -> Tensor:
    """(N, C, h, w), (R, 1, h, w) -> (N, C * R), each channel's regions side by side."""
    channels, side, parts = int(planes.shape[1]), int(planes.shape[2]), int(regions.shape[0])
    return functional.conv2d(planes.reshape(-1, 1, side, side), regions).reshape(-1, channels * parts)


def pyramid(side_cells: int) -> Tensor:
    """(21, 1, h, w): each cell's share in the mean of each region of a 1, 2 x 2 and 4 x 4 division.

    Lazebnik et al. 2006, "Beyond Bags of Features: Spatial Pyramid Matching".
    """
    regions = []
    for parts in PYRAMID:
        edges = np.linspace(0, side_cells, parts + 1).round().astype(int).tolist()
        for (top, bottom), (left, right) in itertools.product(itertools.pairwise(edges), repeat=2):
            region = torch.zeros(side_cells, side_cells)
            region[top:bottom, left:right] = 1 / ((bottom - top) * (right - left))
            regions.append(region)
    return torch.stack(regions)[:, None]
