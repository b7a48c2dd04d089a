"""Solids that an X-ray passes through, and how far it runs inside each.

World axes in mm: X across a frontal image, Y along the frontal ray, Z down the limb from proximal to distal.
Rays are parallel: a limb lies close to the plate, so magnification is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

_SMALLEST_RADIUS_MM = 0.05
_TABLE_KNOTS = 160


@dataclass(frozen=True, eq=False)
class Pose:
    """A local frame: `axes` (3, 3) holds the unit vectors e1, e2, k as rows; k is the long axis."""

    origin: Vector
    axes: Vector

    def moved(self, motion: Motion) -> Pose:
        """This frame carried along by a rigid motion of the world."""
        return Pose(motion.point(self.origin), self.axes @ motion.rotation.T)

    def to_world(self, points: Vector) -> Vector:
        """Local (..., 3) -> world (..., 3)."""
        return np.asarray(points @ self.axes + self.origin)


@dataclass(frozen=True, eq=False)
class Motion:
    """p -> rotation (p - pivot) + pivot + shift, in world mm."""

    rotation: Vector
    pivot: Vector
    shift: Vector

    def point(self, point: Vector) -> Vector:
        """The place where `point` comes to lie."""
        return np.asarray(self.rotation @ (point - self.pivot) + self.pivot + self.shift)


@dataclass(frozen=True)
class View:
    """Where the rays come from: `azimuth_deg` about the limb's axis, 0 frontal, 90 lateral."""

    name: str
    azimuth_deg: float

    @property
    def basis(self) -> tuple[Vector, Vector, Vector]:
        """Unit vectors: across the image, down the image, along the ray."""
        phi = np.deg2rad(self.azimuth_deg)
        across = np.array([np.cos(phi), -np.sin(phi), 0.0])
        ray = np.array([np.sin(phi), np.cos(phi), 0.0])
        return across, np.array([0.0, 0.0, 1.0]), ray


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays in a solid's own frame: start (3, n) at depth 0 and direction (3,), one unit long."""

    start: Floats
    direction: Vector

    def at(self, depth_mm: Floats) -> tuple[Floats, Floats, Floats]:
        """Local x, y, z at the given depth along each ray."""
        x, y, z = (s + depth_mm * np.float32(d) for s, d in zip(self.start, self.direction, strict=True))
        return x, y, z


def local_rays(pose: Pose, view: View, across_mm: Floats, down_mm: Floats) -> Rays:
    """Rays through the plate at (across, down), each (n,), seen from `pose`."""
    across, down, ray = view.basis
    start = (
        np.multiply.outer((pose.axes @ across).astype(np.float32), across_mm)
        + np.multiply.outer((pose.axes @ down).astype(np.float32), down_mm)
        - (pose.axes @ pose.origin).astype(np.float32)[:, None]
    )
    return Rays(start, pose.axes @ ray)


@dataclass(frozen=True, eq=False)
class Chords:
    """What rays run inside a solid: middle depth and half length in mm, of its outside and of its core.

    mineral: volume fraction of bone mineral in the core. Half lengths are 0 where a ray misses.
    """

    outer_mid: Floats
    outer_half: Floats
    inner_mid: Floats
    inner_half: Floats
    mineral: Floats


class Solid(Protocol):
    """A shell around a core."""

    def chords(self, rays: Rays) -> Chords:
        """Intersect rays that are given in the solid's own frame."""
        ...

    def outline(self) -> tuple[Vector, float]:
        """Local points (n, 3) and a radius in mm: the balls around them hold the solid."""
        ...


@dataclass(frozen=True, eq=False)
class Tube:
    """A bent, tapered tube: ellipses stacked along k from 0 to `length_mm`.

    table: (knots, 6) of half axis along e1, half axis along e2, centre e1, centre e2, wall thickness (all mm)
    and mineral fraction of the core, evenly spaced along k. The section is taken where the ray passes the
    axis, which is exact for rays across it and good to a few percent up to 30 degrees of tilt.
    """

    length_mm: float
    table: Floats

    def chords(self, rays: Rays) -> Chords:
        """See `Solid`."""
        dx, dy, dz = rays.direction
        flat = max(dx * dx + dy * dy, 1e-6)
        x0, y0, z0 = rays.start
        nearest = (x0 * np.float32(dx) + y0 * np.float32(dy)) / np.float32(flat)
        z = z0 - nearest * np.float32(dz)
        miss = np.square(x0) + np.square(y0) - np.square(nearest) * np.float32(flat)
        hit = np.flatnonzero((z >= 0) & (z <= self.length_mm) & (miss < self._reach_mm**2))
        a, b, cx, cy, wall, mineral = self._section(z[hit])
        offset = (x0[hit] - cx, y0[hit] - cy)
        outer = _ellipse(offset, (dx, dy), (a, b))
        inner = _ellipse(offset, (dx, dy), (a - wall, b - wall))
        return Chords(*(_spread(values, hit, len(z)) for values in (*outer, *inner, mineral)))

    def outline(self) -> tuple[Vector, float]:
        """See `Solid`."""
        z = np.linspace(0.0, self.length_mm, len(self.table))[::10]
        rows = self.table[::10]
        points = np.column_stack([rows[:, 2], rows[:, 3], z]).astype(np.float64)
        return points, float(self.table[:, :2].max()) + self.length_mm / len(self.table) * 10

    @property
    def _reach_mm(self) -> float:
        """No ray farther than this from the axis hits."""
        return float(self.table[:, :2].max() + np.hypot(self.table[:, 2], self.table[:, 3]).max())

    def _section(self, z_mm: Floats) -> tuple[Floats, ...]:
        position = np.clip(
            z_mm * np.float32((len(self.table) - 1) / self.length_mm), 0, len(self.table) - 1.001
        )
        lower = position.astype(np.intp)
        weight = position - lower
        steps = np.diff(self.table, axis=0)
        return tuple(
            self.table[:, column].take(lower) + steps[:, column].take(lower) * weight
            for column in range(self.table.shape[1])
        )


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """Half axes along e1, e2, k, wall thickness, all in mm, and the core's mineral fraction.

    lobes: (n, 5) of a direction (3), a phase and an amplitude: waves over the surface, since no short bone is
    a true ellipsoid. The outline is exact, the thickness near it good to first order.
    """

    half_axes_mm: tuple[float, float, float]
    wall_mm: float = 1.0
    mineral: float = 0.25
    lobes: Vector | None = None

    def chords(self, rays: Rays) -> Chords:
        """See `Solid`."""
        outer = self._shell(rays, 0.0)
        inner = self._shell(rays, self.wall_mm)
        return Chords(*outer, *inner, np.full_like(outer[0], self.mineral))

    def outline(self) -> tuple[Vector, float]:
        """See `Solid`."""
        swell = 1.0 if self.lobes is None else 1 + float(np.abs(self.lobes[:, 4]).sum())
        return np.zeros((1, 3)), max(self.half_axes_mm) * swell

    def _shell(self, rays: Rays, wall_mm: float) -> tuple[Floats, Floats]:
        half = np.maximum(np.array(self.half_axes_mm) - wall_mm, _SMALLEST_RADIUS_MM)
        start: Floats = rays.start / half.astype(np.float32)[:, None]
        direction = (rays.direction / half).astype(np.float32)
        squared = np.float32(direction @ direction)
        b: Floats = direction @ start
        nearest: Floats = start - direction[:, None] * (b / squared)
        missed = np.square(nearest).sum(axis=0)
        reach = np.square(self._radius(nearest, missed))
        return -b / squared, np.sqrt(np.maximum(reach - missed, 0) / squared)

    def _radius(self, nearest: Floats, squared: Floats) -> Floats | np.float32:
        """Of the unit sphere with its waves, towards where each ray comes nearest to the middle."""
        if self.lobes is None:
            return np.float32(1)
        unit = nearest / np.sqrt(np.maximum(squared, 1e-6))
        lobes = self.lobes.astype(np.float32)
        waves = np.sin(lobes[:, :3] @ unit + lobes[:, 3:4])
        return np.asarray(1 + (lobes[:, 4:] * waves).sum(axis=0))


def _ellipse(
    offset: tuple[Floats, Floats],
    direction: tuple[float, float],
    half_axes: tuple[Floats, Floats],
) -> tuple[Floats, Floats]:
    a, b = (np.maximum(half, np.float32(_SMALLEST_RADIUS_MM)) for half in half_axes)
    x, y = _float32(offset[0] / a), _float32(offset[1] / b)
    dx, dy = _float32(np.float32(direction[0]) / a), _float32(np.float32(direction[1]) / b)
    return _roots(dx * dx + dy * dy, x * dx + y * dy, x * x + y * y - 1)


def _float32(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float32)


def _spread(values: Floats, at: NDArray[np.intp], size: int) -> Floats:
    full = np.zeros(size, np.float32)
    full[at] = values
    return full


def _roots(a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Middle and half distance of the roots of a w^2 + 2 b w + c; half distance 0 where there are none."""
    return _float32(-b / a), _float32(np.sqrt(np.maximum(b * b - a * c, 0)) / a)


@dataclass(frozen=True)
class Flare:
    """One end of a long bone.

    half_axes_mm: there. reach_mm: how far up the shaft it widens. shift_mm: of the centre along e1 and e2.
    cap_mm: over what length the end is rounded.
    """

    half_axes_mm: tuple[float, float]
    reach_mm: float
    cap_mm: float
    shift_mm: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class LongBone:
    """A long bone in anatomical terms; `tube` makes the solid.

    bow_mm: deflection of the middle along e1 and e2. wall_mm: cortex at mid-shaft and at the ends.
    mineral: core's mineral fraction at mid-shaft (marrow) and at the ends (cancellous bone).
    """

    length_mm: float
    shaft_mm: tuple[float, float]
    start: Flare
    end: Flare
    bow_mm: tuple[float, float] = (0.0, 0.0)
    wall_mm: tuple[float, float] = (3.0, 0.9)
    mineral: tuple[float, float] = (0.03, 0.24)

    def tube(self) -> Tube:
        """Stack the sections."""
        z = np.linspace(0.0, self.length_mm, _TABLE_KNOTS)
        first = np.exp(-np.square(z / self.start.reach_mm))
        last = np.exp(-np.square((self.length_mm - z) / self.end.reach_mm))
        cap = _cap(z, self.start.cap_mm) * _cap(self.length_mm - z, self.end.cap_mm)
        sides = [self._blend(i, first, last) * cap for i in (0, 1)]
        centres = [self._centre(i, z, first, last) for i in (0, 1)]
        spongy = np.clip(first**0.45 + last**0.45, 0, 1)
        wall = self.wall_mm[0] + (self.wall_mm[1] - self.wall_mm[0]) * spongy
        mineral = self.mineral[0] + (self.mineral[1] - self.mineral[0]) * spongy
        table = np.column_stack([*sides, *centres, wall, mineral])
        return Tube(self.length_mm, table.astype(np.float32))

    def _blend(self, side: int, first: Vector, last: Vector) -> Vector:
        shaft = self.shaft_mm[side]
        return np.asarray(
            shaft
            + (self.start.half_axes_mm[side] - shaft) * first
            + (self.end.half_axes_mm[side] - shaft) * last
        )

    def _centre(self, side: int, z: Vector, first: Vector, last: Vector) -> Vector:
        bow = self.bow_mm[side] * np.sin(np.pi * z / self.length_mm)
        return np.asarray(bow + self.start.shift_mm[side] * first + self.end.shift_mm[side] * last)


def _cap(distance_mm: Vector, cap_mm: float) -> Vector:
    """1 along the bone, falling like a circle to 0 at its end."""
    missing = np.clip(1 - distance_mm / cap_mm, 0, 1)
    return np.asarray(np.sqrt(1 - np.square(missing)))


def sleeve(length_mm: float, profile: Vector, wall_mm: float, cap_mm: float) -> Tube:
    """A tube through given sections, as soft tissue is: profile (n, 5) of z, half axes and centre in mm."""
    z = np.linspace(0.0, length_mm, _TABLE_KNOTS)
    columns = [_smooth(np.interp(z, profile[:, 0], profile[:, column])) for column in range(1, 5)]
    cap = _cap(z, cap_mm) * _cap(length_mm - z, cap_mm)
    shell = [np.full_like(z, wall_mm), np.zeros_like(z)]
    table = np.column_stack([columns[0] * cap, columns[1] * cap, *columns[2:], *shell])
    return Tube(length_mm, table.astype(np.float32))


def _smooth(values: Vector) -> Vector:
    """Round off the corners of a broken line."""
    kernel = np.hanning(_TABLE_KNOTS // 6)
    padded = np.pad(values, len(kernel) // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="same")[len(kernel) // 2 :][: len(values)]


def rotation(axis: Vector, angle_deg: float) -> Vector:
    """(3, 3) rotation about an axis through the origin (Rodrigues)."""
    x, y, z = (axis / np.linalg.norm(axis)).tolist()
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(angle_deg)
    turned: Vector = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def pose(
    origin: tuple[float, float, float], along: tuple[float, float, float], spin_deg: float = 0.0
) -> Pose:
    """A frame at `origin` whose long axis points `along`; e1 stays as near to X as it can."""
    k = np.asarray(along, float) / np.linalg.norm(along)
    reference = np.array([1.0, 0.0, 0.0]) if abs(k[0]) < 0.9 else np.array([0.0, 0.0, -1.0])
    e1 = reference - (reference @ k) * k
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(k, e1)
    axes = np.stack([e1, e2, k])
    return Pose(np.asarray(origin, float), axes @ rotation(k, spin_deg).T)
