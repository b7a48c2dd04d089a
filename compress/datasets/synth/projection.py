"""From solids to path lengths: how many mm of each tissue lie between the tube and every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.datasets.synth.anatomy import Bone, Canal, Tissue
from compress.datasets.synth.fractures import Piece, Side, keep_share, near_surface
from compress.datasets.synth.geometry import Chords, Floats, Pose, Rays, Vector, View, local_rays

_SAMPLES = 16  # along a ray through a broken stretch of bone
_MASK_MARGIN_MM = 0.7
_BOX_MARGIN_PX = 2


@dataclass(frozen=True, eq=False)
class Plate:
    """The detector: where its pixels lie in the image plane of a view.

    center_mm: (across, down) of its middle. turn_deg: anticlockwise. mirrored: seen from behind (left limbs).
    """

    height_px: int
    width_px: int
    pitch_mm: float
    center_mm: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0
    mirrored: bool = False

    def grid_mm(self) -> tuple[Floats, Floats]:
        """(across, down) in mm of every pixel's centre, each (H, W)."""
        columns = (np.arange(self.width_px, dtype=np.float32) - (self.width_px - 1) / 2) * self.pitch_mm
        rows = (np.arange(self.height_px, dtype=np.float32) - (self.height_px - 1) / 2) * self.pitch_mm
        x, y = np.meshgrid(-columns if self.mirrored else columns, rows)
        cos, sin = np.cos(np.deg2rad(self.turn_deg)), np.sin(np.deg2rad(self.turn_deg))
        across = x * cos + y * sin + self.center_mm[0]
        down = -x * sin + y * cos + self.center_mm[1]
        return across.astype(np.float32), down.astype(np.float32)

    def to_pixels(self, points_mm: Vector) -> Vector:
        """(n, 2) points of the image plane, across and down -> (n, 2) columns and rows."""
        x, y = (points_mm - np.array(self.center_mm)).T
        cos, sin = np.cos(np.deg2rad(self.turn_deg)), np.sin(np.deg2rad(self.turn_deg))
        across, down = x * cos - y * sin, x * sin + y * cos
        middle = np.array([self.width_px - 1, self.height_px - 1]) / 2
        return np.column_stack([-across if self.mirrored else across, down]) / self.pitch_mm + middle


@dataclass(eq=False)
class Paths:
    """Path lengths in mm, each (H, W) float32, and where the ray crosses fracture surfaces, one plane a bone.

    solid_bone: bone mineral tissue. bone: all that lies inside bones, marrow included. tissue: inside the
    skin. fat: its outer layer.
    """

    solid_bone: Floats
    bone: Floats
    spongy: Floats
    tissue: Floats
    fat: Floats
    crossed: list[NDArray[np.bool_]]

    @classmethod
    def empty(cls, height_px: int, width_px: int) -> Paths:
        """Nothing but air."""
        solid_bone, bone, spongy, tissue, fat = np.zeros((5, height_px, width_px), np.float32)
        return cls(solid_bone, bone, spongy, tissue, fat, [])

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.tissue.shape
        return height, width


@dataclass(frozen=True, eq=False)
class BrokenBone:
    """A bone and the pieces that a fracture left of it."""

    bone: Bone
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class _Window:
    """The part of the plate that a solid can reach, and its rays."""

    area: tuple[slice, slice]
    shape: tuple[int, ...]
    rays: Rays


class Projector:
    """Adds solids to the path lengths of one view on one plate."""

    def __init__(self, view: View, plate: Plate) -> None:
        self._view = view
        self._plate = plate
        self._across, self._down = plate.grid_mm()
        self.paths = Paths.empty(plate.height_px, plate.width_px)

    def add_tissue(self, parts: Iterable[Tissue]) -> None:
        """Unite soft-tissue sleeves: overlapping ones count once. Every second ray is enough for them."""
        height, width = self.paths.shape
        coarse = ((width + 1) // 2, (height + 1) // 2)
        across, down = (cv2.resize(grid, coarse).ravel() for grid in (self._across, self._down))
        tissue, fat = np.zeros_like(across), np.zeros_like(across)
        for part in parts:
            chords = part.solid.chords(local_rays(part.pose, self._view, across, down))
            thicker = chords.outer_half * 2 > tissue
            tissue[thicker] = 2 * chords.outer_half[thicker]
            fat[thicker] = tissue[thicker] - 2 * chords.inner_half[thicker]
        self.paths.tissue += cv2.resize(tissue.reshape(coarse[::-1]), (width, height))
        self.paths.fat += cv2.resize(fat.reshape(coarse[::-1]), (width, height))

    def add_bone(self, broken: BrokenBone) -> None:
        """Add a bone, piece by piece."""
        crossed = np.zeros(self.paths.shape, bool)
        for piece in broken.pieces:
            self._add_piece(broken.bone, piece, crossed)
        if crossed.any():
            self.paths.crossed.append(crossed)
        for canal in broken.bone.canals:
            self._bore(canal, broken.pieces[0].pose)

    def _add_piece(self, bone: Bone, piece: Piece, crossed: NDArray[np.bool_]) -> None:
        window = self._window(bone, piece.pose)
        if window is None:
            return
        chords = bone.solid.chords(window.rays)
        outer, inner = 2 * chords.outer_half, 2 * chords.inner_half
        sides = (*piece.sides, *bone.gaps)
        if sides:
            kept = _Kept(chords, window.rays, self._plate.pitch_mm)
            outer, inner = kept.apply(outer, inner, sides)
            crossed[window.area] |= kept.crossed(piece.sides).reshape(window.shape)
        self.paths.bone[window.area] += outer.reshape(window.shape)
        self.paths.solid_bone[window.area] += (outer - inner).reshape(window.shape)
        self.paths.spongy[window.area] += (inner * chords.mineral).reshape(window.shape)

    def _bore(self, canal: Canal, pose: Pose) -> None:
        """A canal takes its chord out of the cortex, no more than there is."""
        ends = self._flat(pose.to_world(np.stack([canal.start_mm, canal.end_mm])))
        area = self._area(self._plate.to_pixels(ends), canal.radius_mm)
        if area is None:
            return
        flat = ends.astype(np.float32)
        px, py = self._across[area] - flat[0, 0], self._down[area] - flat[0, 1]
        dx, dy = flat[1] - flat[0]
        along = np.clip((px * dx + py * dy) / max(float(dx * dx + dy * dy), 1e-6), 0, 1)
        missing = np.float32(canal.radius_mm**2) - np.square(px - along * dx) - np.square(py - along * dy)
        chord = np.minimum(2 * np.sqrt(np.maximum(missing, 0)), self.paths.solid_bone[area])
        self.paths.solid_bone[area] -= chord

    def _flat(self, world: Vector) -> Vector:
        """World (n, 3) -> image plane (n, 2) in mm."""
        across, down, _ = self._view.basis
        return np.column_stack([world @ across, world @ down])

    def _window(self, part: Bone, pose: Pose) -> _Window | None:
        points, radius_mm = part.solid.outline()
        area = self._area(self._plate.to_pixels(self._flat(pose.to_world(points))), radius_mm)
        if area is None:
            return None
        across, down = self._across[area], self._down[area]
        return _Window(area, across.shape, local_rays(pose, self._view, across.ravel(), down.ravel()))

    def _area(self, pixels: NDArray[np.float64], radius_mm: float) -> tuple[slice, slice] | None:
        reach = radius_mm / self._plate.pitch_mm + _BOX_MARGIN_PX
        left, top = np.floor(pixels.min(axis=0) - reach).astype(int)
        right, bottom = np.ceil(pixels.max(axis=0) + reach).astype(int) + 1
        rows = slice(max(top, 0), min(bottom, self._plate.height_px))
        columns = slice(max(left, 0), min(right, self._plate.width_px))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns


class _Kept:
    """What cuts leave of the chords; only rays that come near a cut are sampled in depth."""

    def __init__(self, chords: Chords, rays: Rays, pitch_mm: float) -> None:
        self._chords = chords
        self._rays = rays
        self._blur_mm = max(pitch_mm, 0.1)
        steps = (2 * np.arange(_SAMPLES) + 1) / _SAMPLES - 1
        self._steps = steps.astype(np.float32)[:, None]

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
