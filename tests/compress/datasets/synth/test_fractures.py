from __future__ import annotations

import numpy as np
import pytest

from compress.datasets.synth.anatomy import Bone
from compress.datasets.synth.fractures import (
    TYPES,
    Break,
    Fracture,
    Piece,
    Side,
    Surface,
    fracture,
    keep_share,
    near_surface,
)
from compress.datasets.synth.geometry import Flare, LongBone, View, pose
from compress.datasets.synth.projection import BrokenBone, Paths, Plate, Projector

SHAFT = Bone(
    "shaft",
    LongBone(120, (10, 10), Flare((10, 10), 9, 4), Flare((10, 10), 9, 4)).tube(),
    pose((0, 0, -60), (0, 0, 1)),
)
SITE = Break(SHAFT.pose, 60.0, 10.0)
PLATE = Plate(260, 120, 0.5)
FRONTAL, LATERAL = View("frontal", 0), View("lateral", 90)


def project(pieces: tuple[Piece, ...], view: View = FRONTAL, plate: Plate = PLATE) -> Paths:
    projector = Projector(view, plate)
    projector.add_bone(BrokenBone(SHAFT, pieces))
    return projector.paths


def broken(kind: str, seed: int = 0, splinted: bool = False) -> Fracture:
    return fracture(kind, Break(SHAFT.pose, 60.0, 10.0, splinted), np.random.default_rng(seed))


def points(*rows: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.array(rows, np.float32).T
    return x, y, z


def test_a_flat_sheet_divides_above_from_below() -> None:
    sheet = Surface(50.0, 10.0, gap_mm=2.0)
    share = keep_share((Side(sheet, 1),), points((0, 0, 40), (0, 0, 50.9), (0, 0, 60)), 0.1)
    assert share.tolist() == [0.0, 0.0, 1.0]


def test_only_the_gap_is_missing_on_both_sides_of_a_crack() -> None:
    sheet = Surface(50.0, 10.0, gap_mm=2.0)
    share = keep_share((Side(sheet, 0),), points((0, 0, 48), (0, 0, 50), (0, 0, 52)), 0.1)
    assert share.tolist() == [1.0, 0.0, 1.0]


def test_an_incomplete_crack_spares_the_far_cortex() -> None:
    sheet = Surface(50.0, 10.0, gap_mm=1.0, reach=0.5, towards_deg=0.0)
    share = keep_share((Side(sheet, 0),), points((9, 0, 50), (-9, 0, 50)), 0.1)
    assert share.tolist() == [0.0, 1.0]


def test_a_gap_narrower_than_a_pixel_takes_its_share_of_it() -> None:
    share = keep_share((Side(Surface(50.0, 10.0, gap_mm=0.2), 0),), points((0, 0, 50)), 0.5)
    assert share[0] == pytest.approx(0.6)


def test_a_helix_climbs_by_its_pitch_in_one_turn() -> None:
    sheet = Surface(0.0, 10.0, pitch_mm=30.0)
    angle = np.deg2rad([-179.0, -90.0, 0.0, 90.0, 179.0]).astype(np.float32)
    height = -sheet.signed_distance(10 * np.cos(angle), 10 * np.sin(angle), np.zeros(5, np.float32))
    climb = np.diff(height) * np.hypot(1, 30 / (2 * np.pi * 10))
    assert climb.sum() == pytest.approx(30 * 358 / 360, rel=1e-3)


def test_the_neighbourhood_of_a_sheet_is_as_wide_as_the_margin() -> None:
    sheet = Surface(50.0, 10.0, gap_mm=1.0)
    near = near_surface((Side(sheet, 1),), points((0, 0, 51), (0, 0, 51.6), (0, 0, 40)), 1.0)
    assert near.tolist() == [True, False, False]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("view", [FRONTAL, LATERAL])
def test_every_type_shows_in_the_mask_of_both_views(kind: str, view: View) -> None:
    paths = project(broken(kind).pieces, view)
    assert len(paths.crossed) == 1
    assert paths.bone[paths.crossed[0]].max() > 0


@pytest.mark.parametrize("kind", TYPES)
def test_both_views_see_the_fracture_at_the_same_level(kind: str) -> None:
    rows = [np.nonzero(project(broken(kind, 3).pieces, view).crossed[0])[0] for view in (FRONTAL, LATERAL)]
    assert abs(rows[0].mean() - rows[1].mean()) * PLATE.pitch_mm < 12
    assert max(rows[0].min(), rows[1].min()) < min(rows[0].max(), rows[1].max())


@pytest.mark.parametrize("kind", TYPES)
def test_a_fracture_changes_the_projection_near_the_mask(kind: str) -> None:
    whole, split = project((Piece(SHAFT.pose),)), project(broken(kind).pieces)
    difference = np.abs(whole.solid_bone - split.solid_bone)
    assert difference[split.crossed[0]].mean() > 2 * difference[~split.crossed[0]].mean()


def test_a_hairline_only_takes_bone_away_and_only_in_its_mask() -> None:
    whole, split = project((Piece(SHAFT.pose),)), project(broken("hairline").pieces)
    lost = whole.bone - split.bone
    assert lost.min() > -1e-3
    assert lost.sum() > 0
    assert lost[~split.crossed[0]].max() < 0.05 * lost.max()


def test_a_gap_takes_its_volume_out_of_the_bone() -> None:
    sheet = Surface(60.0, 10.0, gap_mm=3.0)
    whole, split = project((Piece(SHAFT.pose),)), project((Piece(SHAFT.pose, (Side(sheet, 0),)),))
    lost_mm3 = float((whole.bone - split.bone).sum()) * PLATE.pitch_mm**2
    assert lost_mm3 == pytest.approx(np.pi * 10**2 * 3.0, rel=0.02)


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "hairline"])
def test_displaced_pieces_are_no_less_bone_than_the_gap_explains(kind: str) -> None:
    whole, split = project((Piece(SHAFT.pose),)), project(broken(kind).pieces)
    assert 0.8 < split.bone.sum() / whole.bone.sum() < 1.02


def test_the_distal_fragment_moves_by_the_stated_displacement() -> None:
    result = broken("transverse", 5)
    pivot = np.array([0.0, 0, 60.0])
    here, there = SHAFT.pose.to_world(pivot), result.motion.point(SHAFT.pose.to_world(pivot))
    assert np.linalg.norm(there - here) == pytest.approx(result.displacement_mm)
    axis, turned = SHAFT.pose.axes[2], result.motion.rotation @ SHAFT.pose.axes[2]
    assert np.rad2deg(np.arccos(axis @ turned)) == pytest.approx(result.angulation_deg, abs=1e-6)


def test_a_hairline_is_not_displaced() -> None:
    result = broken("hairline")
    assert (result.displacement_mm, result.angulation_deg) == (0.0, 0.0)
    assert len(result.pieces) == 1


def test_a_comminuted_fracture_has_a_fragment_between_two() -> None:
    assert len(broken("comminuted").pieces) == 3


def test_a_sound_bone_beside_it_limits_the_angulation() -> None:
    assert broken("oblique", 4, splinted=True).angulation_deg < broken("oblique", 4).angulation_deg


def test_the_bone_beside_follows_the_first_one() -> None:
    first = broken("oblique", 1)
    second = fracture("transverse", SITE, np.random.default_rng(2), follow=first)
    assert second.motion is first.motion
    assert second.displacement_mm == first.displacement_mm


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="fracture type must be one of"):
        broken("greenstick")
