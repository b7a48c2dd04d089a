from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.synth.anatomy import Bone, Canal, Tissue
from compress.datasets.synth.fractures import Piece, Side, Surface
from compress.datasets.synth.geometry import Ellipsoid, View, pose, sleeve
from compress.datasets.synth.projection import BrokenBone, Paths, Plate, Projector
from tests.compress.datasets.synth.test_geometry import cylinder

FRONTAL, LATERAL = View("frontal", 0), View("lateral", 90)
PLATE = Plate(200, 160, 0.4)


def project(bone: Bone, view: View = FRONTAL, plate: Plate = PLATE) -> Paths:
    projector = Projector(view, plate)
    projector.add_bone(BrokenBone(bone, (Piece(bone.pose),)))
    return projector.paths


@pytest.mark.parametrize("azimuth", [0.0, 37.0, 90.0])
def test_every_view_holds_the_whole_volume(azimuth: float) -> None:
    bone = Bone("talus", Ellipsoid((12, 18, 9), wall_mm=1), pose((0, 0, 0), (0.2, 0.1, 1), 15))
    paths = project(bone, View("any", azimuth))
    volume_mm3 = float(paths.bone.sum()) * PLATE.pitch_mm**2
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 12 * 18 * 9, rel=0.01)


def test_shell_and_core_make_the_bone() -> None:
    paths = project(Bone("shaft", cylinder(), pose((0, 0, -30), (0, 0, 1))))
    row = paths.solid_bone[100]
    assert row[80] == pytest.approx(6.0, rel=0.01)  # twice the wall, through the middle
    assert row.max() > 14  # grazing the cortex: the bright outline of a radiograph
    assert paths.spongy[100, 80] == pytest.approx(14 * 0.1, rel=0.02)


def test_two_bones_in_one_ray_add_up() -> None:
    projector = Projector(LATERAL, PLATE)
    bones = [Bone(str(x), cylinder(), pose((x, 0, -50), (0, 0, 1))) for x in (-20.0, 20.0)]
    for bone in bones:
        projector.add_bone(BrokenBone(bone, (Piece(bone.pose),)))
    assert np.allclose(projector.paths.bone, 2 * project(bones[0], LATERAL).bone, atol=1e-3)


def test_overlapping_soft_tissue_counts_once() -> None:
    parts = [
        Tissue(
            sleeve(90, np.array([[0, r, r, 0, 0], [90, r, r, 0, 0.0]]), 2.0, 4.0),
            pose((0, 0, -45), (0, 0, 1)),
            (),
        )
        for r in (20.0, 26.0)
    ]
    projector = Projector(FRONTAL, PLATE)
    projector.add_tissue(parts)
    assert projector.paths.tissue[100, 80] == pytest.approx(52, rel=0.01)
    assert projector.paths.fat[100, 80] == pytest.approx(4, rel=0.02)


def test_a_growth_plate_is_a_gap_without_being_a_fracture() -> None:
    bone = Bone(
        "radius", cylinder(), pose((0, 0, -50), (0, 0, 1)), gaps=(Side(Surface(50.0, 10.0, gap_mm=2.0), 0),)
    )
    paths = project(bone)
    assert paths.bone[100, 80] < 0.1 * paths.bone[130, 80]
    assert not paths.crossed


def test_a_nutrient_canal_is_a_thin_line_in_the_cortex() -> None:
    frame = pose((0, 0, -50), (0, 0, 1))
    canal = Canal(np.array([0.0, -9, 45]), np.array([0.0, -7.5, 60]), 0.6)
    plain, bored = (project(Bone("shaft", cylinder(), frame, canals=c)) for c in ((), (canal,)))
    lost = plain.solid_bone - bored.solid_bone
    assert lost.max() == pytest.approx(
        2 * np.sqrt(0.6**2 - 0.2**2), rel=0.02
    )  # the nearest ray passes 0.2 mm off
    assert 20 < np.count_nonzero(lost > 0.1) < 400


@given(
    st.floats(-180, 180),
    st.booleans(),
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    st.integers(0, 10_000),
)
def test_pixels_and_millimetres_map_back(
    turn: float, mirrored: bool, center: tuple[float, float], seed: int
) -> None:
    plate = Plate(30, 40, 0.7, center, turn, mirrored)
    across, down = plate.grid_mm()
    row, column = np.random.default_rng(seed).integers(0, 30, 2)
    found = plate.to_pixels(np.array([[across[row, column], down[row, column]]], np.float64))[0]
    assert found == pytest.approx([column, row], abs=1e-3)


def test_a_left_limb_is_the_mirror_image_of_a_right_one() -> None:
    bone = Bone("shaft", cylinder(), pose((8, 0, -50), (0.2, 0, 1)))
    right, left = (project(bone, plate=Plate(200, 160, 0.4, mirrored=m)).bone for m in (False, True))
    assert np.allclose(right, left[:, ::-1], atol=1e-4)


def test_a_bone_off_the_plate_leaves_no_trace() -> None:
    paths = project(Bone("shaft", cylinder(), pose((500, 0, -50), (0, 0, 1))))
    assert not paths.bone.any()
