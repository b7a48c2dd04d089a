from __future__ import annotations

import numpy as np
import pytest

from compress.datasets.synth.materials import ADIPOSE, CORTICAL_BONE, SOFT_TISSUE
from compress.datasets.synth.physics import (
    Exposure,
    add_scatter,
    detect,
    heel_profile,
    optical_depth,
    transmit,
)
from compress.datasets.synth.projection import Paths

SHARP = Exposure(detector_blur_px=0.0, electronic=0.0)


def slab(bone_mm: float = 0.0, tissue_mm: float = 0.0, fat_mm: float = 0.0, side_px: int = 64) -> Paths:
    paths = Paths.empty(side_px, side_px)
    paths.bone += bone_mm
    paths.solid_bone += bone_mm
    paths.tissue += tissue_mm
    paths.fat += fat_mm
    return paths


def test_a_slab_of_bone_in_tissue_attenuates_by_beer_lambert() -> None:
    depth = optical_depth(slab(bone_mm=8, tissue_mm=50, fat_mm=10), 42.0)
    per_cm = (CORTICAL_BONE.per_cm(42), SOFT_TISSUE.per_cm(42), ADIPOSE.per_cm(42))
    expected = per_cm[0] * 0.8 + per_cm[1] * 3.2 + per_cm[2] * 1.0
    assert depth == pytest.approx(np.full((64, 64), expected), rel=1e-5)
    assert transmit(depth)[0, 0] == pytest.approx(np.exp(-expected), rel=1e-5)


def test_two_slabs_transmit_the_product() -> None:
    one, other = (transmit(optical_depth(slab(tissue_mm=mm), 40.0))[0, 0] for mm in (20, 35))
    assert transmit(optical_depth(slab(tissue_mm=55), 40.0))[0, 0] == pytest.approx(one * other, rel=1e-5)


def test_marrow_attenuates_less_than_the_flesh_it_displaces() -> None:
    hollow = slab(tissue_mm=50)
    hollow.bone += 10
    assert optical_depth(hollow, 42)[0, 0] < optical_depth(slab(tissue_mm=50), 42)[0, 0]


def test_more_bone_lets_less_through() -> None:
    through = [transmit(optical_depth(slab(bone_mm=mm, tissue_mm=60), 42))[0, 0] for mm in (0, 2, 5, 10, 20)]
    assert through == sorted(through, reverse=True)


def test_noise_variance_equals_the_mean_count() -> None:
    counts = detect(np.full((400, 400), 0.3, np.float32), SHARP, np.random.default_rng(0))
    assert counts.mean() == pytest.approx(0.3 * SHARP.quanta, rel=0.01)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.03)


@pytest.mark.parametrize("ratio", [2.0, 4.0, 9.0])
def test_relative_noise_falls_with_the_root_of_the_dose(ratio: float) -> None:
    flat = np.full((300, 300), 0.2, np.float32)
    noise = []
    for quanta in (1000.0, 1000.0 * ratio):
        exposure = Exposure(quanta=quanta, detector_blur_px=0.0, electronic=0.0)
        counts = detect(flat, exposure, np.random.default_rng(1))
        noise.append(counts.std() / counts.mean())
    assert noise[0] / noise[1] == pytest.approx(np.sqrt(ratio), rel=0.03)


def test_detector_blur_correlates_neighbours_and_keeps_the_mean() -> None:
    flat = np.full((200, 200), 0.5, np.float32)
    counts = detect(flat, Exposure(detector_blur_px=1.0, electronic=0.0), np.random.default_rng(2))
    assert counts.mean() == pytest.approx(2000, rel=0.01)
    neighbours = np.corrcoef(counts[:, :-1].ravel(), counts[:, 1:].ravel())[0, 1]
    assert neighbours > 0.4


def test_scatter_behind_a_wide_slab_is_the_stated_share_of_the_primary() -> None:
    depth = np.full((128, 128), 1.0, np.float32)
    both = add_scatter(transmit(depth), depth, Exposure(scatter_to_primary=0.4), 0.5)
    assert both[64, 64] / transmit(depth)[64, 64] == pytest.approx(1.4, rel=0.01)


def test_scatter_reaches_beyond_the_limb_and_needs_matter() -> None:
    depth = np.zeros((128, 128), np.float32)
    assert np.allclose(add_scatter(transmit(depth), depth, Exposure(), 1.0), 1.0)
    depth[:, :64] = 2.0
    fog = add_scatter(transmit(depth), depth, Exposure(), 1.0)[64] - 1
    assert fog[70] > fog[120] > 0


def test_the_heel_effect_leaves_the_middle_alone() -> None:
    profile = heel_profile((65, 65), Exposure(heel=0.2, heel_deg=0))
    assert profile[32, 32] == pytest.approx(1.0, abs=1e-3)
    assert profile[32, 0] == pytest.approx(1.1, abs=1e-3)
    assert profile[32, -1] == pytest.approx(0.9, abs=1e-3)
