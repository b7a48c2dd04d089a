from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.datasets.synth.geometry import (
    Ellipsoid,
    Flare,
    LongBone,
    Motion,
    Tube,
    View,
    local_rays,
    pose,
    rotation,
    sleeve,
)

FRONTAL, LATERAL = View("frontal", 0.0), View("lateral", 90.0)
angles = st.floats(-180, 180)


def cylinder(radius_mm: float = 10.0, wall_mm: float = 3.0, length_mm: float = 100.0) -> Tube:
    row = [radius_mm, radius_mm, 0, 0, wall_mm, 0.1]
    return Tube(length_mm, np.tile(np.float32(row), (20, 1)))


def at(*points: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    across, down = np.array(points, np.float32).T
    return across, down


@given(angles, st.floats(0, 9.5))
def test_a_sphere_has_the_same_chords_from_everywhere(azimuth: float, offset: float) -> None:
    rays = local_rays(pose((0, 0, 0), (0.3, 0.2, 1), 25), View("any", azimuth), *at((offset, 0), (0, offset)))
    chords = Ellipsoid((10, 10, 10), wall_mm=0).chords(rays)
    assert 2 * chords.outer_half == pytest.approx(2 * np.sqrt(100 - offset**2), abs=1e-3)


def test_an_ellipsoid_is_as_long_as_its_axis_along_the_ray() -> None:
    solid = Ellipsoid((4, 7, 9), wall_mm=1)
    for view, half in ((FRONTAL, 7), (LATERAL, 4)):
        chords = solid.chords(local_rays(pose((0, 0, 0), (0, 0, 1)), view, *at((0, 0))))
        assert chords.outer_half[0] == pytest.approx(half, rel=1e-5)
        assert chords.inner_half[0] == pytest.approx(half - 1, rel=1e-5)


@given(st.floats(-9.5, 9.5), angles)
def test_a_cylinder_across_the_beam(offset: float, azimuth: float) -> None:
    rays = local_rays(pose((0, 0, 0), (0, 0, 1)), View("any", azimuth), *at((offset, 50)))
    chords = cylinder().chords(rays)
    assert 2 * chords.outer_half[0] == pytest.approx(2 * np.sqrt(100 - offset**2), rel=1e-3)
    core = 2 * np.sqrt(max(49 - offset**2, 0))
    assert 2 * chords.inner_half[0] == pytest.approx(core, abs=0.02)


def test_a_tilted_cylinder_is_longer_along_the_ray() -> None:
    tilt = np.deg2rad(20)
    rays = local_rays(pose((0, 0, 0), (0, np.sin(tilt), np.cos(tilt))), FRONTAL, *at((0, 40)))
    assert cylinder().chords(rays).outer_half[0] == pytest.approx(10 / np.cos(tilt), rel=1e-3)


@pytest.mark.parametrize("point", [(0, -1), (0, 101), (10.5, 50), (-10.5, 50)])
def test_rays_beside_a_tube_miss_it(point: tuple[float, float]) -> None:
    chords = cylinder().chords(local_rays(pose((0, 0, 0), (0, 0, 1)), FRONTAL, *at(point)))
    assert chords.outer_half[0] == 0 and chords.inner_half[0] == 0


def test_a_long_bone_flares_at_its_ends_and_is_walled_in_the_middle() -> None:
    bone = LongBone(200, (7, 7), Flare((12, 11), 20, 5), Flare((16, 11), 24, 5))
    rays = local_rays(pose((0, 0, 0), (0, 0, 1)), LATERAL, *at((0, 100), (0, 190)))
    chords = bone.tube().chords(rays)
    wall = chords.outer_half - chords.inner_half
    assert chords.outer_half[1] > 1.4 * chords.outer_half[0]
    assert wall[0] > 2 * wall[1]
    assert chords.mineral[1] > 3 * chords.mineral[0]


def test_waves_change_the_outline_of_a_short_bone_by_no_more_than_their_height() -> None:
    lobes = np.array([[3.0, 0, 0, 0.4, 0.05], [0, 2.5, 1, 1.0, 0.05]])
    radius = np.linspace(0, 12, 400)
    rays = local_rays(pose((0, 0, 0), (0, 0, 1)), FRONTAL, *at(*((r, 0.0) for r in radius)))
    hit = Ellipsoid((10, 10, 10), 1.0, 0.2, lobes).chords(rays).outer_half > 0
    assert 9.0 <= radius[hit].max() <= 11.0


def test_every_solid_lies_within_its_outline() -> None:
    bone = LongBone(120, (6, 6), Flare((14, 9), 20, 5, (-5, 0)), Flare((12, 10), 20, 6), bow_mm=(8, 0)).tube()
    points, reach_mm = bone.outline()
    x, z = np.meshgrid(np.linspace(-40, 40, 161), np.linspace(-20, 140, 161))
    rays = local_rays(pose((0, 0, 0), (0, 0, 1)), FRONTAL, *at(*zip(x.ravel(), z.ravel(), strict=True)))
    hit = bone.chords(rays).outer_half > 0
    where = np.column_stack([x.ravel()[hit], z.ravel()[hit]])
    distance = np.linalg.norm(where[:, None] - points[None, :, [0, 2]], axis=2).min(axis=1)
    assert distance.max() <= reach_mm


@given(st.tuples(angles, angles, angles), st.floats(-170, 170))
def test_a_rotation_keeps_lengths_and_its_own_axis(axis: tuple[float, float, float], angle: float) -> None:
    vector = np.array(axis)
    if np.linalg.norm(vector) < 1e-3:
        return
    turn = rotation(vector, angle)
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.allclose(turn @ vector, vector, atol=1e-6)


def test_a_moved_frame_carries_its_points_along() -> None:
    motion = Motion(rotation(np.array([1.0, 0, 0]), 30), np.array([0.0, 0, 50]), np.array([2.0, 0, 1]))
    frame = pose((3, 1, 10), (0.1, 0, 1), 20)
    point = np.array([1.0, 2, 30])
    assert np.allclose(frame.moved(motion).to_world(point), motion.point(frame.to_world(point)))


def test_a_sleeve_follows_its_profile() -> None:
    tube = sleeve(200.0, np.array([[0, 30, 20, 0, 0], [100, 40, 30, 0, 0], [200, 20, 15, 0, 0.0]]), 3.0, 10.0)
    chords = tube.chords(local_rays(pose((0, 0, 0), (0, 0, 1)), FRONTAL, *at((0, 100))))
    assert chords.outer_half[0] == pytest.approx(30, rel=0.06)
    assert chords.outer_half[0] - chords.inner_half[0] == pytest.approx(3.0, rel=1e-3)
