"""Random changes that a radiograph may have come with: exposure, position, size, noise.

Whole batches at once, on tensors; masks move with their images. Every number is drawn from the generator that
is handed in, so the same seed gives the same batch.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from compress.training.options import AugmentOptions
from runtime.preprocess import PreprocessSpec


def augment(
    images: Tensor, masks: Tensor, options: AugmentOptions, spec: PreprocessSpec, generator: Generator
) -> tuple[Tensor, Tensor]:
    """images (N, 1, S, S) as preprocessed, masks (N, 1, m, m) float -> both changed, same shapes."""
    unit = images * spec.std + spec.mean
    if options.flip or options.rotate_degrees or options.zoom:
        theta = _affine(len(images), options, generator)
        unit, masks = _warp(unit, theta), _warp(masks, theta)
    unit = _expose(unit, options.exposure, generator)
    if options.noise:
        strength = _uniform(len(unit), 0.0, options.noise, generator)
        unit = unit + strength * torch.randn(unit.shape, generator=generator)
    return (unit.clamp(0.0, 1.0) - spec.mean) / spec.std, masks


def _affine(count: int, options: AugmentOptions, generator: Generator) -> Tensor:
    """(N, 2, 3) matrices from output to input coordinates."""
    limit = math.radians(options.rotate_degrees)
    angle = _uniform(count, -limit, limit, generator).flatten()
    scale = 1.0 + _uniform(count, -options.zoom, options.zoom, generator).flatten()
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0
    if not options.flip:
        mirror = torch.ones(count)
    cos, sin, zero = angle.cos() * scale, angle.sin() * scale, torch.zeros(count)
    rows = torch.stack([cos * mirror, -sin, zero, sin * mirror, cos, zero], dim=1)
    return rows.view(count, 2, 3)


def _warp(planes: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, align_corners=False)


def _expose(unit: Tensor, strength: float, generator: Generator) -> Tensor:
    """Gain and gamma, each within a factor of exp(strength); black stays black."""
    if not strength:
        return unit
    gain = _uniform(len(unit), -strength, strength, generator).exp()
    gamma = _uniform(len(unit), -strength, strength, generator).exp()
    return (unit.clamp(min=0.0) * gain).pow(gamma)


def _uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand((count, 1, 1, 1), generator=generator) * (high - low) + low
