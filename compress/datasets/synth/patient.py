"""One patient: limb, site, perhaps a fracture, and two views of it.

Everything that the label must not be guessed from (body part, centring, dose, child or adult, look-alikes) is
drawn before, and independently of, whether the bone is broken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.datasets.synth import anatomy, plate
from compress.datasets.synth.anatomy import BODY_PARTS, Build, Limb, Site, Tissue, make_limb
from compress.datasets.synth.fractures import TYPE_SHARES, TYPES, Break, Fracture, Piece, fracture
from compress.datasets.synth.geometry import Floats, Motion, View
from compress.datasets.synth.physics import (
    Exposure,
    add_scatter,
    detect,
    heel_profile,
    optical_depth,
    transmit,
)
from compress.datasets.synth.projection import BrokenBone, Paths, Plate, Projector

_BLOCK = 5  # of every five patients with the same body part ...
_BROKEN_PER_BLOCK = 2  # ... two have a fracture, so no body part is riskier than another
_SMALLEST_MASK_PX = 6
_BOTH_SHARE = 0.5  # forearm and leg: how often the bone beside it breaks too
_BEND_MM = 16.0  # soft tissue bends over this length


@dataclass(frozen=True)
class Shot:
    """One computed radiograph and the truth about it.

    pixels: (H, W) uint16 holding 12 bits. masks: (H, W) bool of every bone whose fracture lies in the field,
    True where rays cross a fracture surface.
    """

    view: str
    pixels: NDArray[np.uint16]
    masks: tuple[NDArray[np.bool_], ...]
    quanta: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """All of them in one."""
        return np.any(self.masks, axis=0) if self.masks else np.zeros(self.pixels.shape, bool)


@dataclass(frozen=True)
class Patient:
    """Who was exposed. fracture_type "" means none; hard_normal lists look-alikes joined by "+"."""

    number: int
    body_part: str
    fracture_type: str
    displacement_mm: float
    angulation_deg: float
    hard_normal: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True, eq=False)
class _Subject:
    """A limb ready for exposure."""

    limb: Limb
    site: Site
    at_mm: float
    broken: dict[str, Fracture]
    look_alikes: tuple[str, ...]
    left: bool


def is_broken(number: int, seed: int) -> bool:
    """Whether patient `number` has a fracture: two of every five of the same body part."""
    block, place = divmod(number // len(BODY_PARTS), _BLOCK)
    rng = np.random.default_rng([seed, 1, block, number % len(BODY_PARTS)])
    return bool(place in rng.permutation(_BLOCK)[:_BROKEN_PER_BLOCK])


def make_patient(number: int, seed: int, long_side_px: int) -> Patient:
    """Compute patient `number` of a series; the same arguments always give the same pixels."""
    rng = np.random.default_rng([seed, 0, number])
    body_part = BODY_PARTS[number % len(BODY_PARTS)]
    subject = _subject(body_part, is_broken(number, seed), rng)
    name, azimuth_deg = subject.limb.second_view
    shots = tuple(
        _shoot(subject, View(view, azimuth + rng.normal(0, 4)), long_side_px, rng)
        for view, azimuth in (("frontal", 0.0), (name, azimuth_deg))
    )
    broken = subject.broken.get(subject.site.bone)
    return Patient(
        number,
        body_part,
        broken.kind if broken else "",
        broken.displacement_mm if broken else 0.0,
        broken.angulation_deg if broken else 0.0,
        "+".join(subject.look_alikes),
        shots,
    )


def _subject(body_part: str, is_fractured: bool, rng: np.random.Generator) -> _Subject:
    child = bool(rng.random() < 0.2)
    scale = rng.uniform(0.62, 0.85) if child else rng.normal(1.0, 0.06)
    build = Build(float(scale), child, float(rng.uniform(0.75, 1.15)), float(rng.uniform(0.6, 1.7)))
    limb = make_limb(body_part, build, rng)
    look_alikes = ["growth plate"] if child else []
    weights = np.array([site.weight for site in limb.sites])
    site = limb.sites[int(rng.choice(len(limb.sites), p=weights / weights.sum()))]
    at_mm = float(rng.uniform(site.from_mm, site.to_mm))
    if rng.random() < 0.2:
        limb = _heal_somewhere(limb, site, rng)
        look_alikes.append("healed fracture")
    if any(bone.canals for bone in limb.bones):
        look_alikes.append("vessel groove")
    breaking = np.random.default_rng(rng.integers(1 << 62))
    broken = _break(limb, site, at_mm, breaking) if is_fractured else {}
    return _Subject(limb, site, at_mm, broken, tuple(look_alikes), bool(rng.random() < 0.5))


def _break(limb: Limb, site: Site, at_mm: float, rng: np.random.Generator) -> dict[str, Fracture]:
    """The fracture at the site, and often one of the bone beside it."""
    kind = str(rng.choice(TYPES, p=TYPE_SHARES))
    partner = limb.partners.get(site.bone, "")
    both = bool(partner) and kind != "hairline" and rng.random() < _BOTH_SHARE
    splinted = bool(partner) and not both
    broken = {
        site.bone: fracture(kind, Break(limb.bone(site.bone).pose, at_mm, site.radius_mm, splinted), rng)
    }
    if both:
        beside = next(s for s in limb.sites if s.bone == partner)
        at = float(np.clip(at_mm + rng.normal(0, 9), beside.from_mm, beside.to_mm))
        where = Break(limb.bone(partner).pose, at, beside.radius_mm)
        second = str(rng.choice(TYPES[:-1]))
        broken[partner] = fracture(second, where, rng, follow=broken[site.bone])
    return broken


def _heal_somewhere(limb: Limb, site: Site, rng: np.random.Generator) -> Limb:
    other = limb.sites[int(rng.integers(len(limb.sites)))]
    return anatomy.heal(limb, other.bone, float(rng.uniform(other.from_mm, other.to_mm)), rng)


def broken_bones(limb: Limb, broken: dict[str, Fracture]) -> tuple[BrokenBone, ...]:
    """All bones as they lie after the fractures; what hangs on a distal fragment went with it."""
    motions: dict[str, Motion] = {}
    result = []
    for bone in limb.bones:
        pieces: tuple[Piece, ...] = (Piece(bone.pose),)
        if bone.name in broken:
            pieces = broken[bone.name].pieces
            motions[bone.name] = broken[bone.name].motion
        elif bone.parent in motions:
            motions[bone.name] = motions[bone.parent]
            pieces = (Piece(bone.pose.moved(motions[bone.name])),)
        result.append(BrokenBone(bone, pieces))
    return tuple(result)


def bent(tissue: Tissue, limb: Limb, broken: dict[str, Fracture]) -> Tissue:
    """The sleeve, following the distal fragment of the first fracture that carries it."""
    name = next((name for name in tissue.carriers if name in broken), None)
    if name is None:
        return tissue
    motion = broken[name].motion
    table = tissue.solid.table.copy()
    z = np.linspace(0, tissue.solid.length_mm, len(table))
    axis = tissue.pose.to_world(np.column_stack([table[:, 2], table[:, 3], z]).astype(np.float64))
    distal_mm = (axis - motion.pivot) @ limb.bone(name).pose.axes[2]
    weight = np.clip(0.5 + distal_mm / _BEND_MM, 0, 1)
    moved = (axis - motion.pivot) @ motion.rotation.T + motion.pivot + motion.shift
    shift = (moved - axis) * weight[:, None]
    table[:, 2:4] += shift @ tissue.pose.axes[:2].T
    return replace(tissue, solid=replace(tissue.solid, table=table))


def _shoot(subject: _Subject, view: View, long_side_px: int, rng: np.random.Generator) -> Shot:
    detector = _plate(subject, view, long_side_px, rng)
    projector = Projector(view, detector)
    projector.add_tissue(bent(tissue, subject.limb, subject.broken) for tissue in subject.limb.tissue)
    for bone in broken_bones(subject.limb, subject.broken):
        projector.add_bone(bone)
    paths = projector.paths
    _texture(paths, detector.pitch_mm, rng)
    _skin_folds(paths, rng)
    exposure = _exposure(rng)
    collimation = _collimation(rng)
    marker = _marker("L" if subject.left else "R", rng)
    pixels, field = expose(paths, detector.pitch_mm, Room(exposure, collimation, marker, _curve(rng)), rng)
    masks = tuple(mask for crossed in paths.crossed if (mask := _clean(crossed & (field > 0.5))).any())
    return Shot(view.name, pixels, masks, exposure.quanta)


@dataclass(frozen=True)
class Room:
    """How one image was taken and read."""

    exposure: Exposure
    collimation: plate.Collimation
    marker: plate.Marker | None
    curve: plate.Curve


def expose(
    paths: Paths, pitch_mm: float, room: Room, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], Floats]:
    """Stored values (H, W) and the share of the beam that reached each pixel's column of air."""
    depth = optical_depth(paths, room.exposure.energy_kev)
    letter = np.zeros_like(depth)
    if room.marker is not None:
        letter = plate.lead(paths.shape, room.marker, room.exposure.energy_kev)
        depth = depth + letter
    field = plate.exposed(paths.shape, room.collimation)
    beam = field * heel_profile(paths.shape, room.exposure)
    intensity = add_scatter(transmit(depth) * beam, depth, room.exposure, pitch_mm)
    counts = detect(intensity, room.exposure, rng)
    return plate.develop(counts, field, letter, room.collimation, room.curve), field


def _plate(subject: _Subject, view: View, long_side_px: int, rng: np.random.Generator) -> Plate:
    """Centred near the site, broken or not."""
    bone = subject.limb.bone(subject.site.bone)
    point = bone.pose.to_world(np.array([0.0, 0.0, subject.at_mm]))
    across, down, _ = view.basis
    length_mm = rng.uniform(*subject.limb.field_mm)
    aspect = rng.uniform(0.72, 0.9)
    sides = (long_side_px, round(long_side_px * aspect))
    landscape = rng.random() < 0.12
    height_px, width_px = sides[::-1] if landscape else sides
    turn_deg = rng.normal(0, 10) + (90 if landscape else 0) + (180 if rng.random() < 0.1 else 0)
    miss = rng.uniform(-0.2, 0.2, 2) * length_mm * np.array([aspect, 1.0])
    center = (float(point @ across + miss[0]), float(point @ down + miss[1]))
    return Plate(height_px, width_px, length_mm / long_side_px, center, float(turn_deg), subject.left)


def _texture(paths: Paths, pitch_mm: float, rng: np.random.Generator) -> None:
    """Trabeculae: cancellous mineral is no even sponge but a net of 0.5 to 2 mm, drawn out lengthwise."""
    noise = rng.standard_normal(paths.shape, np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.35 / pitch_mm + 0.3, sigmaY=1.0 / pitch_mm)
    coarse = cv2.GaussianBlur(fine, (0, 0), 1.6 / pitch_mm)
    net = fine - coarse
    net *= np.float32(rng.uniform(0.12, 0.3)) / max(float(net.std()), 1e-6)
    paths.spongy *= np.clip(1 + net, 0.2, 2)


def _skin_folds(paths: Paths, rng: np.random.Generator) -> None:
    """A fold is a sharp edge of additional soft tissue that fades on one side."""
    if rng.random() > 0.3:
        return
    height, width = paths.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    cx, cy = rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height
    along = (x - cx) * np.float32(np.cos(angle)) + (y - cy) * np.float32(np.sin(angle))
    across = (y - cy) * np.float32(np.cos(angle)) - (x - cx) * np.float32(np.sin(angle))
    across = across + np.float32(rng.uniform(-0.002, 0.002)) * along * along
    fade = np.exp(-np.maximum(across, 0) / np.float32(rng.uniform(6, 25)))
    fold_mm = np.float32(rng.uniform(0.6, 2.5)) * fade * np.clip(across + 0.5, 0, 1)
    paths.tissue += np.where(paths.tissue > 0, fold_mm, 0)


def _exposure(rng: np.random.Generator) -> Exposure:
    return Exposure(
        energy_kev=float(rng.uniform(36, 48)),
        quanta=float(np.exp(rng.uniform(np.log(1500), np.log(12000)))),
        scatter_to_primary=float(rng.uniform(0.08, 0.35)),
        scatter_reach_mm=float(rng.uniform(12, 35)),
        detector_blur_px=float(rng.uniform(0.45, 0.85)),
        electronic=float(rng.uniform(2, 8)),
        heel=float(rng.uniform(0, 0.25)),
        heel_deg=float(rng.uniform(0, 360)),
    )


def _collimation(rng: np.random.Generator) -> plate.Collimation:
    if rng.random() < 0.4:
        return plate.Collimation(0.8, 0.8)
    half = rng.uniform(0.38, 0.5, 2)
    center = rng.uniform(-0.04, 0.04, 2)
    turn_deg = float(rng.normal(0, 5))
    return plate.Collimation(
        float(half[0]),
        float(half[1]),
        turn_deg,
        (float(center[0]), float(center[1])),
        bool(rng.random() < 0.5),
    )


def _marker(letter: str, rng: np.random.Generator) -> plate.Marker | None:
    corner = rng.integers(4)
    x = 0.13 if corner % 2 else 0.8
    y = 0.2 if corner < 2 else 0.88
    at = (float(x + rng.normal(0, 0.03)), float(y + rng.normal(0, 0.03)))
    marker = plate.Marker(letter, at, float(rng.uniform(0.045, 0.075)), float(rng.normal(0, 12)))
    return marker if rng.random() < 0.8 else None


def _curve(rng: np.random.Generator) -> plate.Curve:
    return plate.Curve(
        gamma=float(np.exp(rng.normal(0, 0.2))),
        headroom=float(rng.uniform(0.0, 0.3)),
        floor=float(rng.uniform(-0.05, 0.12)),
        sharpen=float(rng.choice([0.0, rng.uniform(0.2, 0.9)])),
    )


def _clean(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its pores closed; a few stray pixels are no visible fracture."""
    if mask.sum() < _SMALLEST_MASK_PX:
        return np.zeros_like(mask)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(closed.astype(bool))
