"""The two players: a generator that fills a hole in a window, and a critic that tells filled from real.

A conditional GAN (Mirza & Osindero 2014, "Conditional Generative Adversarial Nets") that infills: it is given
the window around the hole, what the hole shall show and noise (Wu, Wu, Cox & Lotter 2018, "Conditional
Infilling GANs for Data Augmentation in Mammogram Classification"). From a few hundred fractures whole windows
cannot be learnt from noise alone; the detail of some cells can. Through the hole the generator sees no more
than brightness in squares of 8 px, so that bone goes on as bone. The critic judges overlapping
patches (Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks"), the condition
is a plane of its own, and its layers have a spectral norm of one (Miyato et al. 2018, "Spectral Normalization
for Generative Adversarial Networks").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from compress.training.data import MASK_STRIDE_PX
from runtime.preprocess import PreprocessSpec

_FEATHER_PX = MASK_STRIDE_PX // 2
_CRITIC_LAYERS = 2
_PLANES = 4  # window, hole, label in the hole, noise in the hole
_COARSE_PX = 8
_AT_ONCE = 32  # windows of 128 px in one forward pass: half a gigabyte
_DARKEST = 0.01  # of a pixel in [0, 1], where the logistic function still has a slope


@dataclass(frozen=True, eq=False)
class Wanted:
    """masks (n, 1, w / 4, w / 4): where to fill. labels (n,): 1 with a fracture, 0 with none. noise, as the
    masks: standard normal, what makes one filling differ from the next.
    """

    masks: Tensor
    labels: Tensor
    noise: Tensor

    def at(self, rows: slice) -> Wanted:
        """Some of them."""
        return Wanted(self.masks[rows], self.labels[rows], self.noise[rows])


def chunks(count: int) -> list[slice]:
    """So many rows in parts that fit into memory together with what is computed of them."""
    return [slice(start, start + _AT_ONCE) for start in range(0, max(count, 1), _AT_ONCE)]


def blend(masks: Tensor) -> Tensor:
    """(n, 1, w / 4, w / 4) masks -> (n, 1, w, w) weights of the filling: 1 within, 0 a cell outside."""
    fine = F.interpolate(masks, scale_factor=MASK_STRIDE_PX, mode="nearest")
    kernel = 2 * _FEATHER_PX + 1
    wider = F.max_pool2d(fine, kernel, 1, _FEATHER_PX)
    return F.avg_pool2d(wider, kernel, 1, _FEATHER_PX, count_include_pad=False)


class PatchGenerator(nn.Module):
    """forward: windows (n, 1, w, w) and what is wanted -> the windows with their holes filled.

    What the blend does not touch is not changed. Every pixel that is filled lies in the range that `spec`
    gives.
    """

    def __init__(self, width: int, spec: PreprocessSpec) -> None:
        super().__init__()
        wide = (width, width, 2 * width, 4 * width, 4 * width, width)
        self._mean, self._std = spec.mean, spec.std
        self._net = BasicUNet(
            2, _PLANES, 1, wide, norm=("instance", {"affine": True}), upsample="nontrainable"
        )

    def forward(self, windows: Tensor, wanted: Wanted) -> Tensor:
        """See the class."""
        weight = blend(wanted.masks)
        hole = (weight > 0).float()
        labels = wanted.labels[:, None, None, None] * hole
        noise = _smooth(wanted.noise, MASK_STRIDE_PX) * hole
        coarse = _smooth(F.avg_pool2d(windows, _COARSE_PX), _COARSE_PX)
        seen = torch.cat([windows + hole * (coarse - windows), hole, labels, noise], dim=1)
        # What is learnt is the change of the coarse view: from the first step on brightness is about right.
        unit = (coarse * self._std + self._mean).clamp(_DARKEST, 1 - _DARKEST)
        filling = (torch.sigmoid(torch.logit(unit) + self._net(seen)) - self._mean) / self._std
        return windows + weight * (filling - windows)


class PatchCritic(nn.Module):
    """forward: windows (n, 1, w, w) and what they show -> (n, 1, h, w) logits, higher for more real ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._net = PatchDiscriminator(2, 2 * width, 3, 1, _CRITIC_LAYERS, norm=None)  # type: ignore[arg-type,unused-ignore]
        for layer in self._net.modules():
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)

    def forward(self, windows: Tensor, wanted: Wanted) -> Tensor:
        """See the class."""
        hole = (blend(wanted.masks) > 0).float()
        labels = wanted.labels[:, None, None, None] * hole
        return cast(Tensor, self._net(torch.cat([windows, hole, labels], dim=1))[-1])


def _smooth(coarse: Tensor, times: int) -> Tensor:
    return F.interpolate(coarse, scale_factor=times, mode="bilinear", align_corners=False)


def concerned(masks: Tensor, logits: Tensor) -> Tensor:
    """Weights (n, 1, h, w), of sum 1, of the critic's logits: alike where a hole is, 0 elsewhere."""
    seen = F.adaptive_max_pool2d((blend(masks) > 0).float(), logits.shape[-2:])
    return seen / seen.sum().clamp_min(1)
