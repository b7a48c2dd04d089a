"""A bag of visual words: K-means over dense local descriptors, and what each word says of a fracture.

Csurka et al. 2004, "Visual Categorization with Bags of Keypoints". A cell belongs to its nearest words by
degrees, with a Gaussian kernel (van Gemert et al. 2010, "Visual Word Ambiguity"): a histogram that does not
jump where two words are equally near, on one engine this way and on another that way. Within the softmax the
descriptor's own length cancels out, so that the memberships are one 1x1 convolution (Arandjelović et al.
2016, "NetVLAD").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn

from compress.classical.sampling import CellSample
from runtime.errors import StepError

Floats = NDArray[np.float64]
SHARPNESS = 4.0
"""Of the kernel, per mean squared distance from a descriptor to its nearest word."""
_BATCH = 4096
_SMOOTHING_CELLS = 5.0
"""Added to what was counted and to what was to be expected: a rare word says little."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What brings descriptors (…, D) to zero mean, with the same total variance for each kind of feature."""

    mean: Floats
    spread: Floats

    def apply(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, D) -> (M, D)."""
        return ((descriptors - self.mean) / self.spread).astype(np.float32)


def fit_scale(descriptors: NDArray[np.float32], widths: tuple[int, ...]) -> Scale:
    """descriptors: (M, D). widths: channels of each kind of feature, D in all."""
    spread = descriptors.std(axis=0, dtype=np.float64)
    spread = np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-6))
    kinds = np.concatenate([np.full(width, np.sqrt(width)) for width in widths])
    return Scale(descriptors.mean(axis=0, dtype=np.float64), spread * kinds)


class Vocabulary(nn.Module):
    """Descriptors (N, D, h, w) -> memberships (N, K, h, w), which sum to 1 over the words.

    centres: (K, D) in `scale`. sharpness: of the kernel exp(-sharpness * squared distance).
    """

    def __init__(self, centres: Floats, scale: Scale, sharpness: float) -> None:
        super().__init__()
        words, channels = centres.shape
        weights = 2 * sharpness * centres / scale.spread
        bias = -sharpness * np.square(centres).sum(axis=1) - weights @ scale.mean
        self.nearness = nn.Conv2d(channels, words, kernel_size=1)
        with torch.no_grad():
            self.nearness.weight.copy_(torch.from_numpy(weights)[:, :, None, None])
            self.nearness.bias.copy_(torch.from_numpy(bias))  # type: ignore[union-attr]

    def forward(self, descriptors: Tensor) -> Tensor:
        """Memberships of each cell."""
        return torch.softmax(self.nearness(descriptors), dim=1)


def fit_vocabulary(
    descriptors: NDArray[np.float32], widths: tuple[int, ...], words: int, seed: int
) -> Vocabulary:
    """K-means over (M, D) descriptors. Raises StepError for fewer descriptors than words."""
    if len(descriptors) < words:
        raise StepError(
            f"{words} visual words need at least as many descriptors, got {len(descriptors)}",
            "ask for fewer words, or bring more images",
        )
    scale = fit_scale(descriptors, widths)
    scaled = scale.apply(descriptors)
    means = MiniBatchKMeans(words, random_state=seed, batch_size=_BATCH, n_init=2, compute_labels=False)
    means.fit(scaled)
    distances = np.square(means.transform(scaled[:_BATCH]).min(axis=1))
    typical = max(float(distances.mean()), 1e-6)
    return Vocabulary(means.cluster_centers_.astype(np.float64), scale, SHARPNESS / typical)


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How much of each word (K,) lies in fractures, and how much outside of them."""

    inside: Floats
    outside: Floats

    @classmethod
    def of(cls, sample: CellSample, vocabulary: Vocabulary) -> WordCounts:
        """From cells of which it is known."""
        descriptors = torch.from_numpy(sample.descriptors.T[None, :, :, None].copy())
        with torch.no_grad():
            memberships = vocabulary(descriptors)[0, :, :, 0].numpy().astype(np.float64)
        return cls(memberships @ sample.fractured, memberships @ sample.healthy)

    def evidence(self) -> Floats:
        """(K,) log of how much commoner a word is in fractures than elsewhere, smoothed towards 0."""
        together = self.inside + self.outside
        usual = together / together.sum()
        ratios = [
            (counts + _SMOOTHING_CELLS) / (counts.sum() * usual + _SMOOTHING_CELLS)
            for counts in (self.inside, self.outside)
        ]
        return np.asarray(np.log(ratios[0] / ratios[1]))
