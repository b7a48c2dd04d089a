"""Random changes that a radiograph may have come with: position, shape, exposure, sharpness, borders, noise.

First everything random is drawn for a whole batch (compress.training.draws), then it is applied; masks move
with their images. Applying draws nothing, so several processes can each apply their share of one draw, and a
GPU what was drawn on the CPU.

What moves pixels is one resampling of the whole batch here; contrast, blur and sharpening are MONAI's array
transforms, image by image. Measured at 320 px on one core of an AVX-512 server, ms an image: this warp 2.1,
MONAI's RandAffine 5.7 and Rand2DElastic 13.5, each a resampling of its own, RandAffined with mask 5.0; a
MONAI dictionary pipeline of four transforms 13.3 against 3.3 for everything that is on by default here.
MONAI's RandAdjustContrast takes 0.7, RandGaussianSmooth 2.5, RandGaussianSharpen 4.8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from compress.training.draws import Draws, draw
from compress.training.options import AugmentOptions
from runtime.preprocess import PreprocessSpec

_SOFTEST_SIGMA_PX = 0.25
_IDENTITY_SIGMA_PX = 0.1
_DETAIL_SIGMAS_PX = (0.7, 1.5)
_CONSIDERED = 0.5  # share of the images that are blurred, and of those that are sharpened


def augment(
    images: Tensor, masks: Tensor, options: AugmentOptions, spec: PreprocessSpec, generator: Generator
) -> tuple[Tensor, Tensor]:
    """images (N, 1, S, S) as preprocessed, masks (N, 1, m, m) float -> both changed, same shapes."""
    draws = draw(len(images), images.shape[-1], options, generator)
    moved = move_masks(masks, draws)
    return change_images(images, moved, draws, options, spec), moved


def move_masks(masks: Tensor, draws: Draws) -> Tensor:
    """(N, 1, m, m) to where the images' places go."""
    return masks if draws.theta is None else _warp(masks, draws.theta, draws.bend)


def change_images(
    images: Tensor, masks: Tensor, draws: Draws, options: AugmentOptions, spec: PreprocessSpec
) -> Tensor:
    """images as preprocessed, with their moved masks and their draws -> changed images, same shape."""
    unit = images * spec.std + spec.mean
    if draws.theta is not None:
        unit = _warp(unit, draws.theta, draws.bend)
    if draws.gain is not None and draws.gamma is not None:
        unit = (unit.clamp(min=0.0) * draws.gain).pow(draws.gamma)
    if draws.seeds is not None:
        unit = _refocus(unit.clamp(0.0, 1.0), draws.seeds, options)
    if draws.borders is not None:
        unit = unit * lit_field(masks, draws.borders, unit.shape[-1])
    if draws.noise is not None:
        unit = unit + draws.noise
    return (unit.clamp(0.0, 1.0) - spec.mean) / spec.std


def lit_field(masks: Tensor, borders: Tensor, side_px: int) -> Tensor:
    """(N, 1, S, S): 0 in the dark borders that a collimator leaves, 1 inside.

    borders (N, 4): widths at left, top, right and bottom as shares of the side. They end where a mask (N, 1,
    m, m) begins: a fracture that can no longer be seen must not be asked for.
    """
    free = torch.stack([_clear_share(masks, axis, end) for end in (False, True) for axis in (3, 2)], dim=1)
    left, top, right, bottom = torch.minimum(borders, free).T[:, :, None]
    place = (torch.arange(side_px, device=masks.device) + 0.5) / side_px
    columns = (place >= left) & (place <= 1 - right)
    rows = (place >= top) & (place <= 1 - bottom)
    lit: Tensor = (rows[:, None, :, None] & columns[:, None, None, :]).float()
    return lit


def _clear_share(masks: Tensor, axis: int, from_end: bool) -> Tensor:
    """(N,) share of the side before the first marked row or column."""
    marked = (masks > 0).any(dim=5 - axis).squeeze(1)
    if from_end:
        marked = marked.flip(1)
    first = marked.float().argmax(dim=1) / marked.shape[1]
    return torch.where(marked.any(dim=1), first, torch.ones_like(first))


def _warp(planes: Tensor, theta: Tensor, bend: Tensor | None) -> Tensor:
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    if bend is not None:
        smooth = F.interpolate(bend, list(planes.shape[-2:]), mode="bicubic", align_corners=False)
        grid = grid + smooth.permute(0, 2, 3, 1)
    return F.grid_sample(planes, grid, align_corners=False)


def _refocus(unit: Tensor, seeds: Tensor, options: AugmentOptions) -> Tensor:
    """Contrast, blur and sharpness of each image by its own seed."""
    change = _refocusing(options.contrast, options.blur_px, options.sharpen)
    changed = [change(image, int(seed)) for image, seed in zip(unit.cpu(), seeds, strict=True)]
    return torch.stack(changed).to(unit.device)


def _unsharp_mask(sharpen: float) -> dict[str, tuple[float, float]]:
    """MONAI's transform blurs before it sharpens; with no width to speak of that does nothing."""
    first = {f"sigma1_{axis}": (_IDENTITY_SIGMA_PX, _IDENTITY_SIGMA_PX) for axis in "xyz"}
    second = {f"sigma2_{axis}": _DETAIL_SIGMAS_PX for axis in "xyz"}
    return {**first, **second, "alpha": (0.0, sharpen)}


@lru_cache(maxsize=4)
def _refocusing(contrast: float, blur_px: float, sharpen: float) -> Callable[[Tensor, int], Tensor]:
    from monai import transforms

    chosen = []
    if contrast:
        gammas = (float(np.exp(-contrast)), float(np.exp(contrast)))
        chosen.append(transforms.RandAdjustContrast(prob=1.0, gamma=gammas))
    if blur_px:
        sigmas = (_SOFTEST_SIGMA_PX, max(blur_px, _SOFTEST_SIGMA_PX))
        chosen.append(transforms.RandGaussianSmooth(sigma_x=sigmas, sigma_y=sigmas, prob=_CONSIDERED))
    if sharpen:
        chosen.append(transforms.RandGaussianSharpen(**_unsharp_mask(sharpen), prob=_CONSIDERED))
    pipeline = transforms.Compose(chosen)

    def change(image: Tensor, seed: int) -> Tensor:
        pipeline.set_random_state(seed)
        changed: Tensor = torch.as_tensor(pipeline(image).numpy())
        return changed

    return change
