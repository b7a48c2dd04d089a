"""Bones and soft tissue of four body parts, in mm.

Sizes are those of an average adult (rounded from anatomy texts), varied from patient to patient; a child's
are smaller and have open growth plates. Z runs from proximal (negative) to distal (positive).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from compress.datasets.synth.fractures import Side, Surface, rough_waves
from compress.datasets.synth.geometry import (
    Ellipsoid,
    Flare,
    LongBone,
    Pose,
    Solid,
    Tube,
    Vector,
    pose,
    sleeve,
)

BODY_PARTS = ("forearm", "hand", "leg", "shoulder")
_LOBES = 3


@dataclass(frozen=True, eq=False)
class Canal:
    """A nutrient vessel's channel through the cortex: a straight bore, ends in the bone's local frame."""

    start_mm: Vector
    end_mm: Vector
    radius_mm: float


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone. parent: name of the bone whose distal fragment carries it along ("" for none).

    gaps: lucent sheets that belong to it (growth plates).
    """

    name: str
    solid: Solid
    pose: Pose
    parent: str = ""
    gaps: tuple[Side, ...] = ()
    canals: tuple[Canal, ...] = ()


@dataclass(frozen=True, eq=False)
class Tissue:
    """A sleeve of soft tissue; carriers: the bones whose fracture bends it."""

    solid: Tube
    pose: Pose
    carriers: tuple[str, ...]


@dataclass(frozen=True)
class Site:
    """A stretch of a bone where fractures happen; also what the image is centred on in healthy patients."""

    bone: str
    from_mm: float
    to_mm: float
    radius_mm: float
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Limb:
    """A body part before anything happens to it.

    tissue: shells of fat around a core of muscle, united. field_mm: long side of a usual exposure.
    second_view: (name, azimuth in degrees) of the view that goes with the frontal one. partners: which bone
    lies beside which and often breaks with it.
    """

    bones: tuple[Bone, ...]
    tissue: tuple[Tissue, ...]
    sites: tuple[Site, ...]
    field_mm: tuple[float, float]
    second_view: tuple[str, float]
    partners: dict[str, str]

    def bone(self, name: str) -> Bone:
        """The bone of that name."""
        return next(bone for bone in self.bones if bone.name == name)


@dataclass(frozen=True)
class Build:
    """How one patient is built. scale: of all lengths. child: growth plates are open."""

    scale: float
    child: bool
    wall: float = 1.0
    fat: float = 1.0
    jitter: float = 0.05


@dataclass
class _Maker:
    """Scales and varies what the body parts describe."""

    build: Build
    rng: np.random.Generator
    bones: list[Bone] = field(default_factory=list)
    tissue: list[Tissue] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)

    def long(
        self,
        name: str,
        bone: LongBone,
        origin: tuple[float, float, float],
        along: tuple[float, float, float] = (0, 0, 1),
        parent: str = "",
    ) -> None:
        """Add a long bone."""
        scaled = self._scaled(bone)
        x, y, z = (value * self.build.scale for value in origin)
        placed = pose((x, y, z), along, self.rng.normal(0, 6))
        gaps = self._growth_plates(scaled) if self.build.child else ()
        self.bones.append(Bone(name, scaled.tube(), placed, parent, gaps, self._canals(scaled)))

    def short(
        self,
        name: str,
        half_axes_mm: tuple[float, float, float],
        origin: tuple[float, float, float],
        along: tuple[float, float, float] = (0, 0, 1),
        parent: str = "",
        wall_mm: float = 0.6,
    ) -> None:
        """Add a short or flat bone: an ellipsoid with a wavy surface."""
        a, b, c = (value * self.build.scale * self._vary() for value in half_axes_mm)
        x, y, z = (value * self.build.scale for value in origin)
        wall_mm = wall_mm * self.build.scale * self._vary()
        solid = Ellipsoid((a, b, c), wall_mm, float(self.rng.uniform(0.2, 0.32)), self._lobes())
        self.bones.append(Bone(name, solid, pose((x, y, z), along, self.rng.normal(0, 12)), parent))

    def flesh(
        self,
        origin: tuple[float, float, float],
        end: tuple[float, float, float],
        profile: tuple[tuple[float, ...], ...],
        carriers: tuple[str, ...],
        fat_mm: float,
    ) -> None:
        """Add soft tissue; profile: (distance from origin, half axes, shift of the centre) in mm."""
        scale = self.build.scale
        start, stop = np.asarray(origin, float) * scale, np.asarray(end, float) * scale
        span = stop - start
        knots = np.array([(*row, 0.0, 0.0)[:5] for row in profile]) * scale
        knots[:, 1:3] *= self._vary()
        cap_mm = float(knots[-1, 1])
        solid = sleeve(float(np.linalg.norm(span)), knots, fat_mm * self.build.fat * scale, cap_mm)
        placed = pose((start[0], start[1], start[2]), (span[0], span[1], span[2]))
        self.tissue.append(Tissue(solid, placed, carriers))

    def site(self, bone: str, from_mm: float, to_mm: float, radius_mm: float, weight: float = 1.0) -> None:
        """Add a stretch where the bone may break."""
        scale = self.build.scale
        self.sites.append(Site(bone, from_mm * scale, to_mm * scale, radius_mm * scale, weight))

    def limb(
        self,
        field_mm: tuple[float, float],
        second_view: tuple[str, float],
        partners: dict[str, str] | None = None,
    ) -> Limb:
        """All of it."""
        low, high = (value * self.build.scale**0.7 for value in field_mm)
        parts = (tuple(self.bones), tuple(self.tissue), tuple(self.sites))
        return Limb(*parts, (low, high), second_view, partners or {})

    def _vary(self) -> float:
        return float(np.exp(self.rng.normal(0, self.build.jitter)))

    def _lobes(self) -> Vector:
        directions = self.rng.normal(size=(_LOBES, 3))
        directions *= self.rng.uniform(2, 4.5, (_LOBES, 1)) / np.linalg.norm(
            directions, axis=1, keepdims=True
        )
        phases = self.rng.uniform(0, 2 * np.pi, (_LOBES, 1))
        return np.column_stack([directions, phases, self.rng.uniform(0.03, 0.09, (_LOBES, 1))])

    def _scaled(self, bone: LongBone) -> LongBone:
        s = self.build.scale
        girth = s * self._vary()
        wall = self.build.wall * s * self._vary()
        return LongBone(
            bone.length_mm * s,
            (bone.shaft_mm[0] * girth, bone.shaft_mm[1] * girth),
            _scaled_flare(bone.start, s, girth),
            _scaled_flare(bone.end, s, girth),
            (bone.bow_mm[0] * s * self._vary(), bone.bow_mm[1] * s * self._vary()),
            (bone.wall_mm[0] * wall, bone.wall_mm[1] * wall),
            bone.mineral,
        )

    def _growth_plates(self, bone: LongBone) -> tuple[Side, ...]:
        plates = []
        for flare, at_mm in ((bone.start, 0.7), (bone.end, -0.7)):
            radius_mm = max(flare.half_axes_mm)
            inset = abs(at_mm) * radius_mm + 2.0
            if bone.length_mm < 6 * inset and at_mm > 0:
                continue  # the short tubular bones of hand and foot have one plate only
            plates.append(
                Side(
                    Surface(
                        inset if at_mm > 0 else bone.length_mm - inset,
                        radius_mm,
                        slope=self.rng.normal(0, 0.06),
                        towards_deg=self.rng.uniform(0, 360),
                        gap_mm=self.rng.uniform(0.9, 1.9) * self.build.scale,
                        waves=rough_waves(self.rng, 0.1 * radius_mm, radius_mm),
                    ),
                    0,
                )
            )
        return tuple(plates)

    def _canals(self, bone: LongBone) -> tuple[Canal, ...]:
        """A nutrient canal enters the middle third of a large shaft at a slant."""
        radius = min(bone.shaft_mm)
        if radius < 4.5 * self.build.scale or self.rng.random() < 0.5:
            return ()
        angle = self.rng.uniform(0, 2 * np.pi)
        side = np.array([np.cos(angle), np.sin(angle)])
        at_mm = bone.length_mm * self.rng.uniform(0.3, 0.7)
        length_mm = self.rng.uniform(10, 26) * self.build.scale
        wall = bone.wall_mm[0]
        start = np.array([*(side * radius), at_mm])
        end = np.array([*(side * (radius - wall)), at_mm + length_mm])
        return (Canal(start, end, float(self.rng.uniform(0.5, 0.9) * self.build.scale)),)


def _scaled_flare(flare: Flare, length: float, girth: float) -> Flare:
    (a, b), (x, y) = flare.half_axes_mm, flare.shift_mm
    return Flare(
        (a * girth, b * girth), flare.reach_mm * length, flare.cap_mm * length, (x * girth, y * girth)
    )


def make_limb(body_part: str, build: Build, rng: np.random.Generator) -> Limb:
    """Build one body part of one patient. Raises KeyError for a part that is not in BODY_PARTS."""
    return _PARTS[body_part](_Maker(build, rng))


def heal(limb: Limb, bone: str, at_mm: float, rng: np.random.Generator) -> Limb:
    """The limb with an old, healed fracture: callus thickens the bone there."""
    bones = tuple(_with_callus(b, at_mm, rng) if b.name == bone else b for b in limb.bones)
    return replace(limb, bones=bones)


def _with_callus(bone: Bone, at_mm: float, rng: np.random.Generator) -> Bone:
    tube = bone.solid
    if not isinstance(tube, Tube):
        return bone
    table = tube.table.copy()
    z = np.linspace(0, tube.length_mm, len(table))
    radius = float(np.interp(at_mm, z, table[:, :2].mean(axis=1)))
    bump = np.exp(-np.square((z - at_mm) / (radius * rng.uniform(0.9, 1.8))))
    table[:, :2] *= (1 + rng.uniform(0.15, 0.4) * bump)[:, None]
    table[:, 4] *= 1 + rng.uniform(0.1, 0.5) * bump
    table[:, 5] = np.minimum(table[:, 5] + rng.uniform(0.1, 0.3) * bump, 0.8)
    bend = np.hypot(z - at_mm, radius) * rng.uniform(-0.06, 0.06)
    table[:, 2] += bend - bend[np.argmin(np.abs(z - at_mm))]
    return replace(bone, solid=replace(tube, table=table))


def _wrist_bones(maker: _Maker) -> None:
    """Radius, ulna, carpus, metacarpals and phalanges of a right hand; the wrist joint is at Z = 0."""
    radius = LongBone(
        235,
        (7.2, 6.6),
        Flare((11, 11), 16, 5),
        Flare((16, 11), 24, 5, (-2, 0)),
        bow_mm=(-6, 3),
        wall_mm=(2.8, 0.9),
    )
    ulna = LongBone(
        240, (6.6, 6.4), Flare((13, 14), 26, 6), Flare((8.5, 8), 14, 5), bow_mm=(3, -3), wall_mm=(2.8, 0.9)
    )
    maker.long("radius", radius, (-11, 0, -237), (0.015, 0.0, 1))
    maker.long("ulna", ulna, (14, -2, -246), (0.01, 0.005, 1))
    _carpus(maker)
    _rays(maker)


def _carpus(maker: _Maker) -> None:
    for name, half, at in (
        ("scaphoid", (7, 6, 10), (-15, -1, 10)),
        ("lunate", (7.5, 7, 8), (-2, 1, 7)),
        ("triquetrum", (7, 6, 8), (11, 1, 11)),
        ("pisiform", (5, 4.5, 6), (13, -7, 12)),
        ("trapezium", (8, 7, 7.5), (-21, -3, 25)),
        ("trapezoid", (6, 7, 7), (-11, 1, 26)),
        ("capitate", (7, 8, 11.5), (0, 1, 23)),
        ("hamate", (7.5, 8, 9), (11, 0, 25)),
    ):
        tilt = (maker.rng.normal(0, 0.25), maker.rng.normal(0, 0.25), 1.0)
        maker.short(name, (half[0], half[1], half[2]), (at[0], at[1], at[2]), tilt, "radius")


_RAY_TABLE = (
    # name, base x, base z, splay (x per z), metacarpal and phalanx lengths, shaft half width
    ("thumb", -27.0, 31.0, -0.62, (45.0, 31.0, 22.0), 4.6),
    ("index", -13.0, 35.0, -0.13, (66.0, 40.0, 23.0, 17.0), 4.2),
    ("middle", -2.0, 36.0, -0.02, (64.0, 44.0, 27.0, 18.0), 4.2),
    ("ring", 8.0, 35.0, 0.10, (57.0, 41.0, 26.0, 18.0), 3.8),
    ("little", 16.0, 33.0, 0.22, (53.0, 32.0, 19.0, 16.0), 3.7),
)


def _rays(maker: _Maker) -> None:
    for name, x, z, splay, lengths, half_width in _RAY_TABLE:
        at = np.array([x, 0.0, z])
        slope = splay + maker.rng.normal(0, 0.04)
        curl = maker.rng.uniform(0.0, 0.12)
        parent = "radius"
        for number, length in enumerate(lengths):
            along = np.array([slope, -curl * number, 1.0])
            along /= np.linalg.norm(along)
            width = half_width * (1.0, 0.95, 0.82, 0.7)[number]
            head = 1.45 if number == 0 else 1.25
            bone = LongBone(
                length,
                (width, width * 0.9),
                Flare((width * 1.55, width * 1.5), length * 0.2, width * 0.7),
                Flare((width * head, width * head), length * 0.14, width * 0.9),
                bow_mm=(0, 1.2),
                wall_mm=(1.7, 0.7),
            )
            label = f"{name}{number}"
            maker.long(label, bone, (at[0], at[1], at[2]), (along[0], along[1], along[2]), parent)
            parent = label
            at = at + along * (length + 1.8)
        _finger_flesh(maker, (x, 0.0, z), at, tuple(f"{name}{number}" for number in range(len(lengths))))


def _finger_flesh(
    maker: _Maker, base: tuple[float, float, float], tip: Vector, bones: tuple[str, ...]
) -> None:
    end = tip + (tip - np.asarray(base)) * 0.02
    length = float(np.linalg.norm(end - np.asarray(base)))
    wide = 12.5 if len(bones) == 3 else 11.0
    profile = ((0.0, wide, 10.0), (0.45 * length, 0.95 * wide, 9.5), (length, 7.5, 6.8))
    maker.flesh(base, (end[0], end[1], end[2]), profile, ("radius", "ulna", *bones), 1.2)


def _arm_flesh(maker: _Maker) -> None:
    profile = (
        (0.0, 44.0, 36.0),
        (120.0, 38.0, 29.0),
        (215.0, 30.0, 20.0),
        (250.0, 29.0, 18.0),
        (285.0, 36.0, 17.0),
        (330.0, 43.0, 15.0, 2.0),
        (350.0, 41.0, 13.0, 2.0),
    )
    maker.flesh((0, 0, -250), (-1, 0, 104), profile, ("radius", "ulna"), 3.5)


def _forearm(maker: _Maker) -> Limb:
    _wrist_bones(maker)
    _arm_flesh(maker)
    maker.site("radius", 125, 224, 8.5, 1.6)
    maker.site("ulna", 125, 222, 7.0, 1.0)
    return maker.limb((72, 105), ("lateral", 90), {"radius": "ulna", "ulna": "radius"})


def _hand(maker: _Maker) -> Limb:
    _wrist_bones(maker)
    _arm_flesh(maker)
    for name, _x, _z, _splay, lengths, half_width in _RAY_TABLE:
        for number, length in enumerate(lengths[:-1]):
            weight = 1.5 if number == 0 else 1.0
            maker.site(
                f"{name}{number}", 0.22 * length, 0.8 * length, half_width * (1, 0.95, 0.82)[number], weight
            )
    return maker.limb((58, 85), ("oblique", 42))


def _leg(maker: _Maker) -> Limb:
    """Tibia, fibula and the hind foot; the ankle joint is at Z = 0."""
    tibia = LongBone(
        360,
        (12.5, 13.5),
        Flare((37, 26), 42, 8),
        Flare((23, 19), 30, 6, (-2, 0)),
        bow_mm=(2, 4),
        wall_mm=(5, 1.1),
    )
    fibula = LongBone(
        355, (6.3, 6.5), Flare((11, 11), 18, 6), Flare((9.5, 11), 26, 10), bow_mm=(-3, 3), wall_mm=(2.6, 0.9)
    )
    maker.long("tibia", tibia, (-4, 0, -363), (0.01, 0, 1))
    maker.long("fibula", fibula, (27, 9, -335), (-0.012, 0, 1))
    maker.short("malleolus", (6.5, 11, 13), (-24, -1, 0), parent="tibia")
    maker.short("talus", (18, 25, 13), (0, -4, 14), (0.0, -0.25, 1), "tibia", 0.8)
    maker.short("calcaneus", (16, 36, 17), (4, 14, 38), (0, 0.25, 1), "tibia", 0.8)
    maker.short("navicular", (20, 9, 14), (-5, -36, 24), parent="tibia")
    maker.short("cuneiforms", (19, 15, 10), (-8, -58, 31), (0, -0.4, 1), "tibia")
    maker.short("cuboid", (11, 16, 11), (16, -42, 40), parent="tibia")
    for number in range(4):
        at = (-18 + 11 * number, -98, 43 + 3 * number)
        maker.short(f"metatarsal{number}", (5.5, 34, 5.5), (at[0], at[1], at[2]), (0, 0.25, 1), "tibia")
    carriers = ("tibia", "fibula")
    calf = ((0.0, 58.0, 62.0), (190.0, 44.0, 46.0), (330.0, 34.0, 37.0), (390.0, 36.0, 42.0, 0.0, 4.0))
    maker.flesh((4, 6, -380), (2, 6, 46), (*calf, (426.0, 34.0, 44.0, 0.0, 6.0)), carriers, 5.5)
    foot = ((0.0, 32.0, 30.0), (70.0, 36.0, 27.0), (150.0, 42.0, 17.0))
    maker.flesh((2, 34, 36), (-2, -150, 50), foot, carriers, 4.0)
    maker.site("tibia", 170, 338, 14.0, 1.4)
    maker.site("fibula", 170, 335, 7.0, 1.2)
    return maker.limb((88, 128), ("lateral", 88), {"tibia": "fibula", "fibula": "tibia"})


def _shoulder(maker: _Maker) -> Limb:
    """Upper half of the humerus, scapula, clavicle and ribs; the joint is near Z = 0."""
    humerus = LongBone(
        300, (11.5, 11.5), Flare((24, 23), 34, 21, (-9, 0)), Flare((28, 12), 36, 7), wall_mm=(4, 1.0)
    )
    maker.long("humerus", humerus, (0, 0, -24), (0.05, 0.02, 1))
    maker.short("scapula", (38, 4.5, 66), (-66, 14, 34), (0.16, 0.05, 1), wall_mm=0.9)
    maker.short("glenoid", (7, 13, 19), (-36, 6, 4), wall_mm=0.9)
    maker.short("acromion", (24, 11, 5.5), (-14, 12, -36), (0.2, 0, 1), wall_mm=0.9)
    maker.short("coracoid", (15, 8, 6), (-32, -10, -16), (0.3, 0.2, 1), wall_mm=1.0)
    maker.short("clavicle", (66, 7, 6.5), (-92, -4, -40), (0.12, 0.1, 1), wall_mm=1.6)
    for number in range(4):
        at = (-128, -6, -12 + 32 * number)
        maker.short(f"rib{number}", (52, 8, 6), (at[0], at[1], at[2]), (0.5, 0, 1), wall_mm=0.9)
    arm = ((0.0, 30.0, 34.0, -6.0), (50.0, 50.0, 48.0), (180.0, 47.0, 46.0), (350.0, 42.0, 42.0))
    maker.flesh((-4, 0, -62), (10, 4, 300), arm, ("humerus",), 7.0)
    torso = ((0.0, 40.0, 44.0), (40.0, 78.0, 64.0), (140.0, 84.0, 76.0), (260.0, 88.0, 78.0))
    maker.flesh((-84, 4, -66), (-106, 4, 200), torso, (), 8.0)
    maker.site("humerus", 58, 165, 13.0)
    return maker.limb((90, 130), ("lateral", 55))


_PARTS: dict[str, Callable[[_Maker], Limb]] = {
    "forearm": _forearm,
    "hand": _hand,
    "leg": _leg,
    "shoulder": _shoulder,
}
