"""What is random in the augmentation of one batch, drawn before any of it is applied."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Generator, Tensor

from compress.training.options import AugmentOptions

_BEND_NODES = 5
"""Across an image: with displacements of at most a twentieth of its side nothing can fold."""
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Draws:
    """For N images of side S; None for what is off.

    theta: (N, 2, 3) from output to input coordinates. bend: (N, 2, 5, 5) displacements in the same
    coordinates. gain, gamma: (N, 1, 1, 1). noise: (N, 1, S, S). borders: (N, 4) shares of the side. seeds:
    (N,) for transforms that draw for themselves.
    """

    theta: Tensor | None = None
    bend: Tensor | None = None
    gain: Tensor | None = None
    gamma: Tensor | None = None
    noise: Tensor | None = None
    borders: Tensor | None = None
    seeds: Tensor | None = None

    def share(self, rows: slice) -> Draws:
        """The draws of these images."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Draws(**{name: None if value is None else value[rows] for name, value in values.items()})

    def to(self, device: torch.device) -> Draws:
        """The same on a device; seeds stay, what draws for itself does so on the CPU."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "seeds"}
        there = {name: None if value is None else value.to(device) for name, value in values.items()}
        return Draws(**there, seeds=self.seeds)

    def sparing(self, images: Tensor) -> Draws:
        """Without borders on the images that are marked, (N,) bool."""
        if self.borders is None:
            return self
        return replace(self, borders=self.borders * ~images[:, None])


def draw(count: int, side_px: int, options: AugmentOptions, generator: Generator) -> Draws:
    """Everything that the options leave to chance, for `count` images."""
    theta = _affine(count, options, generator) if options.moves else None
    bend = _bend(count, options.elastic, generator) if options.elastic else None
    gain, gamma = (_factor(count, options.exposure, generator) for _ in range(2))
    noise = None
    if options.noise:
        strength = _uniform(count, 0.0, options.noise, generator)
        noise = strength * torch.randn((count, 1, side_px, side_px), generator=generator)
    borders = _borders(count, options.collimation, generator) if options.collimation else None
    seeds = torch.randint(_LARGEST_SEED, (count,), generator=generator) if options.refocuses else None
    return Draws(theta, bend, gain, gamma, noise, borders, seeds)


def _affine(count: int, options: AugmentOptions, generator: Generator) -> Tensor:
    limit = math.radians(options.rotate_degrees)
    angle = _uniform(count, -limit, limit, generator).flatten()
    scale = 1.0 + _uniform(count, -options.zoom, options.zoom, generator).flatten()
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0
    if not options.flip:
        mirror = torch.ones(count)
    shift = torch.zeros(count, 2)
    if options.shift:  # an image is two units wide
        shift = (torch.rand((count, 2), generator=generator) * 2 - 1) * 2 * options.shift
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack([cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]], dim=1)
    return rows.view(count, 2, 3)


def _bend(count: int, strength: float, generator: Generator) -> Tensor:
    unit = torch.rand((count, 2, _BEND_NODES, _BEND_NODES), generator=generator) * 2 - 1
    bend: Tensor = unit * 2 * strength
    return bend


def _borders(count: int, widest: float, generator: Generator) -> Tensor:
    """Each side of each image is dark in half of the cases."""
    width, is_dark = torch.rand((2, count, 4), generator=generator)
    borders: Tensor = width * widest * (is_dark < 0.5)
    return borders


def _factor(count: int, strength: float, generator: Generator) -> Tensor | None:
    """Within a factor of exp(strength) of 1."""
    return _uniform(count, -strength, strength, generator).exp() if strength else None


def _uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand((count, 1, 1, 1), generator=generator) * (high - low) + low
