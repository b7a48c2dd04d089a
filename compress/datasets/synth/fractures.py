"""Fractures as surfaces that cut a bone in three dimensions, and the motion of the pieces.

Nothing is painted: a fracture removes a gap of bone along its surface and moves the distal pieces rigidly, so
what each view shows of it follows from the projection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compress.datasets.synth.geometry import Floats, Motion, Pose, Vector, rotation

TYPES = ("transverse", "oblique", "spiral", "comminuted", "hairline")
TYPE_SHARES = (0.27, 0.25, 0.19, 0.2, 0.09)
_ROUGH_WAVES = 4
_SPLINTED_SHARE = 0.35


@dataclass(frozen=True, eq=False)
class Surface:
    """A sheet z = height(x, y) across a bone's local frame, in mm.

    at_mm: where it crosses the axis. slope: rise per mm towards `towards_deg`. pitch_mm: rise per turn about
    the axis (a helix, closed by a lengthwise crack). gap_mm: how far its lips stand apart. reach: share of
    the section that the crack has crossed, from the side `towards_deg` on; 1 is all of it.
    waves: (n, 4) of wave numbers x, y (1/mm), phase, amplitude (mm): the ragged edge.
    """

    at_mm: float
    radius_mm: float
    slope: float = 0.0
    towards_deg: float = 0.0
    pitch_mm: float = 0.0
    gap_mm: float = 0.5
    reach: float = 1.0
    waves: Vector | None = None

    def signed_distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Distance above the sheet in mm (first order)."""
        steepness = np.hypot(self.slope, self.pitch_mm / (2 * np.pi * self.radius_mm))
        return np.asarray((z - self._height(x, y)) / np.float32(np.hypot(1.0, steepness)))

    def half_gap(self, x: Floats, y: Floats) -> Floats | np.float32:
        """Half the distance between the lips at (x, y), in mm; 0 where the crack has not arrived."""
        if self.reach >= 1:
            return np.float32(self.gap_mm / 2)
        front = self._along(x, y) / np.float32(self.radius_mm) - np.float32(1 - 2 * self.reach)
        return np.asarray(np.float32(self.gap_mm / 2) * np.clip(front * 4, 0, 1))

    @property
    def extent_mm(self) -> float:
        """How far above and below `at_mm` the sheet and its gap reach."""
        rough = 0.0 if self.waves is None else float(np.abs(self.waves[:, 3]).sum())
        tilt = float(np.hypot(1.0, self.slope)) * self.gap_mm
        return 1.2 * abs(self.slope) * self.radius_mm + abs(self.pitch_mm) / 2 + rough + tilt + 2.0

    def _along(self, x: Floats, y: Floats) -> Floats:
        angle = np.deg2rad(self.towards_deg)
        return np.asarray(x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)))

    def _height(self, x: Floats, y: Floats) -> Floats:
        height = np.float32(self.at_mm) + np.float32(self.slope) * self._along(x, y)
        if self.pitch_mm:
            turn = np.arctan2(y, x) - np.float32(np.deg2rad(self.towards_deg))
            turn = np.mod(turn + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
            height = height + np.float32(self.pitch_mm / (2 * np.pi)) * turn
        for kx, ky, phase, amplitude in () if self.waves is None else self.waves.astype(np.float32):
            height = height + amplitude * np.sin(kx * x + ky * y + phase)
        return np.asarray(height)


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a surface: +1 above it, -1 below it, 0 both (only the gap is missing)."""

    surface: Surface
    sign: int


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a bone: what the sides leave of it, in a frame of its own."""

    pose: Pose
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, eq=False)
class Fracture:
    """A broken bone: its pieces, and how everything distal of the fracture moved."""

    kind: str
    pieces: tuple[Piece, ...]
    motion: Motion
    displacement_mm: float
    angulation_deg: float


@dataclass(frozen=True, eq=False)
class Break:
    """Where a bone breaks: at what length along k (which points to distal), and how wide it is there.

    splinted: a sound bone beside it holds the fragments, so they move less.
    """

    pose: Pose
    at_mm: float
    radius_mm: float
    splinted: bool = False


def keep_share(sides: tuple[Side, ...], points: tuple[Floats, Floats, Floats], blur_mm: float) -> Floats:
    """How much all sides leave of a stretch `blur_mm` long about each point, 0 to 1 (a box filter)."""
    x, y, z = points
    blur = np.float32(blur_mm)
    share = np.ones_like(x)
    for side in sides:
        distance = side.surface.signed_distance(x, y, z)
        half = side.surface.half_gap(x, y)
        if side.sign == 0:
            deepest = np.minimum(2 * half / blur, np.float32(1))
            share *= 1 - np.clip((half - np.abs(distance)) / blur + np.float32(0.5), 0, deepest)
        else:
            share *= np.clip((distance * np.float32(side.sign) - half) / blur + np.float32(0.5), 0, 1)
    return share


def near_surface(
    sides: tuple[Side, ...], points: tuple[Floats, Floats, Floats], margin_mm: float
) -> NDArray[np.bool_]:
    """Whether each point lies in a gap or within `margin_mm` of its lips."""
    x, y, z = points
    near = np.zeros(x.shape, bool)
    for side in sides:
        half = side.surface.half_gap(x, y)
        near |= (np.abs(side.surface.signed_distance(x, y, z)) < half + np.float32(margin_mm)) & (half > 0)
    return near


def fracture(kind: str, site: Break, rng: np.random.Generator, follow: Fracture | None = None) -> Fracture:
    """Break a bone; with `follow`, its distal fragment moves as that of the bone beside it.

    Raises ValueError for a kind that is not in TYPES.
    """
    if kind not in TYPES:
        raise ValueError(f"fracture type must be one of {', '.join(TYPES)}, got {kind!r}")
    surface = _surface(kind, site, rng)
    if kind == "hairline":
        return Fracture(kind, (Piece(site.pose, (Side(surface, 0),)),), _still(site), 0.0, 0.0)
    motion, displacement_mm, angulation_deg = _distal_motion(kind, site, rng)
    if follow is not None:
        motion, displacement_mm, angulation_deg = (
            follow.motion,
            follow.displacement_mm,
            follow.angulation_deg,
        )
    if kind == "comminuted":
        pieces = _three_pieces(surface, site, motion, rng)
    else:
        pieces = (
            Piece(site.pose, (Side(surface, -1),)),
            Piece(site.pose.moved(motion), (Side(surface, 1),)),
        )
    return Fracture(kind, pieces, motion, displacement_mm, angulation_deg)


def rough_waves(rng: np.random.Generator, amplitude_mm: float, radius_mm: float) -> Vector:
    """Random waves for a ragged edge, from about one to six periods across the bone."""
    frequency = rng.uniform(0.8, 5.0, _ROUGH_WAVES) * np.pi / radius_mm
    direction = rng.uniform(0, 2 * np.pi, _ROUGH_WAVES)
    return np.column_stack(
        [
            frequency * np.cos(direction),
            frequency * np.sin(direction),
            rng.uniform(0, 2 * np.pi, _ROUGH_WAVES),
            amplitude_mm * rng.uniform(0.3, 1.0, _ROUGH_WAVES) / np.sqrt(_ROUGH_WAVES),
        ]
    )


def _surface(kind: str, site: Break, rng: np.random.Generator) -> Surface:
    base = Surface(
        site.at_mm,
        site.radius_mm,
        towards_deg=rng.uniform(0, 360),
        slope=rng.uniform(0.0, 0.2),
        gap_mm=rng.uniform(0.9, 2.4),
        waves=rough_waves(rng, rng.uniform(0.08, 0.2) * site.radius_mm, site.radius_mm),
    )
    if kind == "oblique":
        return replace(base, slope=rng.uniform(0.6, 1.4))
    if kind == "spiral":
        return replace(base, pitch_mm=float(rng.choice([-1, 1]) * rng.uniform(2.5, 4.5) * site.radius_mm))
    if kind == "hairline":
        return replace(
            base, slope=rng.uniform(0.0, 0.8), gap_mm=rng.uniform(0.6, 1.1), reach=rng.uniform(0.55, 1.0)
        )
    return base


def _distal_motion(kind: str, site: Break, rng: np.random.Generator) -> tuple[Motion, float, float]:
    """Sideways by a share of the bone's width, angulated, and shortened or pulled apart a little."""
    sideways_mm = float(site.radius_mm * (0.2 + 0.85 * rng.beta(1.3, 2.0)))
    angulation_deg = float(4 + 24 * rng.beta(1.3, 2.2)) * (_SPLINTED_SHARE if site.splinted else 1.0)
    lengthwise_mm = rng.uniform(-0.5, 0.25) * sideways_mm * (1.0 if kind != "transverse" else 0.3)
    towards = rng.uniform(0, 2 * np.pi)
    local = np.array([np.cos(towards), np.sin(towards), 0.0])
    about = towards + rng.normal(np.pi / 2, 0.5)
    hinge = np.array([np.cos(about), np.sin(about), 0.0])
    shift = (sideways_mm * local + np.array([0, 0, lengthwise_mm])) @ site.pose.axes
    pivot = site.pose.to_world(np.array([0.0, 0.0, site.at_mm]))
    turn = rotation(hinge @ site.pose.axes, angulation_deg * float(rng.choice([-1, 1])))
    return Motion(turn, pivot, shift), float(np.linalg.norm(shift)), angulation_deg


def _three_pieces(
    surface: Surface, site: Break, motion: Motion, rng: np.random.Generator
) -> tuple[Piece, ...]:
    """A wedge between two fragments, pushed out of the shaft."""
    opening = rng.uniform(0.35, 0.9)
    height_mm = opening * site.radius_mm
    lower = replace(surface, at_mm=site.at_mm - height_mm, slope=-opening)
    upper = replace(
        surface,
        at_mm=site.at_mm + height_mm,
        slope=opening,
        waves=rough_waves(rng, 0.15 * site.radius_mm, site.radius_mm),
    )
    angle = np.deg2rad(surface.towards_deg)
    out = np.array([np.cos(angle), np.sin(angle), 0.0]) @ site.pose.axes
    spin = rotation(rng.normal(size=3), rng.uniform(3, 18))
    wedge = Motion(spin, motion.pivot, motion.shift / 2 + out * rng.uniform(0.1, 0.5) * site.radius_mm)
    return (
        Piece(site.pose, (Side(lower, -1),)),
        Piece(site.pose.moved(wedge), (Side(lower, 1), Side(upper, -1))),
        Piece(site.pose.moved(motion), (Side(upper, 1),)),
    )


def _still(site: Break) -> Motion:
    return Motion(np.eye(3), site.pose.origin, np.zeros(3))
