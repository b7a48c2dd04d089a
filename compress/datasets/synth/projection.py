"""From solids to path lengths: how many mm of each tissue lie between the tube and every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compress.datasets.synth.anatomy import Bone, Canal
from compress.datasets.synth.fractures import Piece, Side, keep_share, near_surface
from compress.datasets.synth.geometry import Chords, Floats, Pose, Rays, View, local_rays

_SAMPLES = 24  # along a ray through a broken stretch of bone
_MASK_MARGIN_MM = 0.7
_BOX_MARGIN_PX = 2


@dataclass(frozen=True, eq=False)
class Plate:
    """The detector: where its pixels lie in the image plane of a view.

    center_mm: (right, up) of its middle. turn_deg: anticlockwise. mirrored: seen from behind (left limbs).
    """

    height_px: int
    width_px: int
    pitch_mm: float
    center_mm: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0
    mirrored: bool = False

    def grid_mm(self) -> tuple[Floats, Floats]:
        """(right, up) in mm of every pixel's centre, each (H, W)."""
        columns = (np.arange(self.width_px, dtype=np.float32) - (self.width_px - 1) / 2) * self.pitch_mm
        rows = (np.arange(self.height_px, dtype=np.float32) - (self.height_px - 1) / 2) * self.pitch_mm
        across, down = np.meshgrid(-columns if self.mirrored else columns, rows)
        cos, sin = np.cos(np.deg2rad(self.turn_deg)), np.sin(np.deg2rad(self.turn_deg))
        right = across * cos + down * sin + self.center_mm[0]
        up = -across * sin + down * cos + self.center_mm[1]
        return right.astype(np.float32), up.astype(np.float32)

    def to_pixels(self, right_mm: NDArray[np.float64], up_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) column and row of points in the image plane."""
        x, y = right_mm - self.center_mm[0], up_mm - self.center_mm[1]
        cos, sin = np.cos(np.deg2rad(self.turn_deg)), np.sin(np.deg2rad(self.turn_deg))
        across, down = x * cos - y * sin, x * sin + y * cos
        across = -across if self.mirrored else across
        return np.column_stack(
            [
                across / self.pitch_mm + (self.width_px - 1) / 2,
                down / self.pitch_mm + (self.height_px - 1) / 2,
            ]
        )


@dataclass(eq=False)
class Paths:
    """Path lengths in mm, each (H, W) float32, and where a fracture surface was crossed.

    solid_bone: bone mineral tissue. bone: all that lies inside bones, marrow included. tissue: inside the
    skin. fat: its outer layer.
    """

    shape: tuple[int, int]
    solid_bone: Floats = field(init=False)
    bone: Floats = field(init=False)
    spongy: Floats = field(init=False)
    tissue: Floats = field(init=False)
    fat: Floats = field(init=False)
    crossed: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("solid_bone", "bone", "spongy", "tissue", "fat"):
            setattr(self, name, np.zeros(self.shape, np.float32))
        self.crossed = np.zeros(self.shape, bool)


@dataclass(frozen=True, eq=False)
class BrokenBone:
    """A bone and the pieces that a fracture left of it."""

    bone: Bone
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class _Window:
    """The part of the plate that a solid can reach, and its rays."""

    rows: slice
    columns: slice
    rays: Rays


class Projector:
    """Adds solids to the path lengths of one view on one plate."""

    def __init__(self, view: View, plate: Plate) -> None:
        self._view = view
        self._plate = plate
        self._right, self._up = plate.grid_mm()
        self.paths = Paths((plate.height_px, plate.width_px))

    def add_tissue(self, parts: Iterable[Bone]) -> None:
        """Unite soft-tissue sleeves: overlapping ones count once."""
        for part in parts:
            window = self._window(part, part.pose)
            if window is None:
                continue
            chords = part.solid.chords(window.rays)
            area = np.s_[window.rows, window.columns]
            outer, inner = (self._shaped(2 * half, window) for half in (chords.outer_half, chords.inner_half))
            thicker = outer > self.paths.tissue[area]
            self.paths.fat[area] = np.where(thicker, outer - inner, self.paths.fat[area])
            self.paths.tissue[area] = np.where(thicker, outer, self.paths.tissue[area])

    def add_bone(self, broken: BrokenBone) -> None:
        """Add a bone, piece by piece."""
        for piece in broken.pieces:
            self._add_piece(broken.bone, piece)
        for canal in broken.bone.canals:
            self._bore(canal, broken.pieces[0].pose)

    def _add_piece(self, bone: Bone, piece: Piece) -> None:
        window = self._window(bone, piece.pose)
        if window is None:
            return
        chords = bone.solid.chords(window.rays)
        outer, inner = 2 * chords.outer_half, 2 * chords.inner_half
        sides = (*piece.sides, *bone.gaps)
        if sides:
            kept = _Kept(chords, window.rays, self._plate.pitch_mm)
            outer, inner = kept.apply(outer, inner, sides)
            crossed = kept.crossed(piece.sides)
            self.paths.crossed[window.rows, window.columns] |= self._shaped(crossed, window)
        area = np.s_[window.rows, window.columns]
        self.paths.bone[area] += self._shaped(outer, window)
        self.paths.solid_bone[area] += self._shaped(outer - inner, window)
        self.paths.spongy[area] += self._shaped(inner * chords.mineral, window)

    def _bore(self, canal: Canal, pose: Pose) -> None:
        """A canal takes its chord out of the cortex, no more than there is."""
        right, up, _ = self._view.basis
        ends = pose.to_world(np.stack([canal.start_mm, canal.end_mm]))
        flat = np.column_stack([ends @ right, ends @ up]).astype(np.float32)
        area = self._area(self._plate.to_pixels(flat[:, 0], flat[:, 1]), canal.radius_mm)
        if area is None:
            return
        px, py = self._right[area] - flat[0, 0], self._up[area] - flat[0, 1]
        dx, dy = flat[1] - flat[0]
        along = np.clip((px * dx + py * dy) / max(float(dx * dx + dy * dy), 1e-6), 0, 1)
        missing = np.float32(canal.radius_mm**2) - np.square(px - along * dx) - np.square(py - along * dy)
        chord = np.minimum(2 * np.sqrt(np.maximum(missing, 0)), self.paths.solid_bone[area])
        self.paths.solid_bone[area] -= chord

    def _window(self, part: Bone, pose: Pose) -> _Window | None:
        points, radius_mm = part.solid.outline()
        right, up, _ = self._view.basis
        world = pose.to_world(points)
        area = self._area(self._plate.to_pixels(world @ right, world @ up), radius_mm)
        if area is None:
            return None
        rays = local_rays(pose, self._view, self._right[area].ravel(), self._up[area].ravel())
        return _Window(area[0], area[1], rays)

    def _area(self, pixels: NDArray[np.float64], radius_mm: float) -> tuple[slice, slice] | None:
        reach = radius_mm / self._plate.pitch_mm + _BOX_MARGIN_PX
        left, top = np.floor(pixels.min(axis=0) - reach).astype(int)
        right, bottom = np.ceil(pixels.max(axis=0) + reach).astype(int) + 1
        rows = slice(max(top, 0), min(bottom, self._plate.height_px))
        columns = slice(max(left, 0), min(right, self._plate.width_px))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns

    def _shaped(self, values: NDArray[np.generic], window: _Window) -> NDArray[np.generic]:
        height = window.rows.stop - window.rows.start
        return values.reshape(height, -1)


class _Kept:
    """What cuts leave of the chords; only rays that come near a cut are sampled in depth."""

    def __init__(self, chords: Chords, rays: Rays, pitch_mm: float) -> None:
        self._chords = chords
        self._rays = rays
        self._blur_mm = max(pitch_mm, 0.1)
        steps = (np.arange(_SAMPLES, dtype=np.float32) + 0.5) / _SAMPLES
        self._steps = (2 * steps - 1)[:, None]

    def apply(self, outer: Floats, inner: Floats, sides: tuple[Side, ...]) -> tuple[Floats, Floats]:
        """Chord lengths of the outside and of the core that are left."""
        outer, inner = outer.copy(), inner.copy()
        hit = np.flatnonzero(outer > 0)
        is_near = self._is_near(hit, sides)
        near, away = hit[is_near], hit[~is_near]
        kept = self._is_kept(away, sides)
        outer[away] *= kept
        inner[away] *= kept
        chords = self._chords
        outer[near] *= keep_share(
            sides, self._points(chords.outer_mid, chords.outer_half, near), self._blur_mm
        ).mean(axis=0)
        inner[near] *= keep_share(
            sides, self._points(chords.inner_mid, chords.inner_half, near), self._blur_mm
        ).mean(axis=0)
        return outer, inner

    def crossed(self, sides: tuple[Side, ...]) -> NDArray[np.bool_]:
        """(n,) rays that pass a fracture surface inside the bone."""
        crossed = np.zeros(self._chords.outer_half.shape, bool)
        hit = np.flatnonzero(self._chords.outer_half > 0)
        near = hit[self._is_near(hit, sides)]
        points = self._points(self._chords.outer_mid, self._chords.outer_half, near)
        crossed[near] = near_surface(sides, points, _MASK_MARGIN_MM).any(axis=0)
        return crossed

    def _is_kept(self, rays: NDArray[np.intp], sides: tuple[Side, ...]) -> NDArray[np.bool_]:
        """Far from the sheets only the side counts."""
        middle = self._middle(rays)
        kept = np.ones(len(rays), bool)
        for side in sides:
            if side.sign:
                kept &= (middle - np.float32(side.surface.at_mm)) * side.sign > 0
        return kept

    def _middle(self, rays: NDArray[np.intp]) -> Floats:
        """Local z half-way through the bone."""
        dz = np.float32(self._rays.direction[2])
        return np.asarray(self._rays.start[2][rays] + self._chords.outer_mid[rays] * dz)

    def _is_near(self, rays: NDArray[np.intp], sides: tuple[Side, ...]) -> NDArray[np.bool_]:
        middle = self._middle(rays)
        slack = self._chords.outer_half[rays] * np.float32(abs(self._rays.direction[2]))
        near = np.zeros(len(rays), bool)
        for side in sides:
            near |= np.abs(middle - np.float32(side.surface.at_mm)) < side.surface.extent_mm + slack
        return near

    def _points(self, middle: Floats, half: Floats, rays: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Local coordinates (samples, rays), evenly along each chord."""
        depth = middle[rays][None] + half[rays][None] * self._steps
        return Rays(self._rays.start[:, rays], self._rays.direction).at(depth)
