"""Figures about made windows say what they should for copies, for one window only, and for the real thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from compress.classical.features import CellFeatures
from compress.patches import checks
from compress.patches.examine import PatchReport, examine
from compress.patches.features import crops, poses, texture
from compress.patches.networks import PatchGenerator
from compress.patches.sheet import draw_patches
from compress.patches.source import PatchMaker
from compress.training.data import TrainData
from compress.training.windows import WindowSampler
from runtime.errors import StepError

from .marks import SPEC, dark_marks


def rows(count: int, shift: float = 0.0, seed: int = 0) -> checks.Rows:
    return np.random.default_rng(seed).standard_normal((count, 12)) + shift


def nearer(made: checks.Rows, fit: checks.Rows, held_out: checks.Rows) -> float:
    apart = checks.distances(made, fit), checks.distances(made, held_out)
    return checks.nearer_to_first(*apart, np.random.default_rng(1))


def test_copies_are_nearer_to_what_was_learnt_and_new_windows_are_not() -> None:
    fit, held_out = rows(80, seed=1), rows(60, seed=2)
    assert nearer(fit + 0.01, fit, held_out) > 0.8
    assert nearer(rows(200, seed=3), fit, held_out) == pytest.approx(0.5, abs=0.12)


def test_the_kernel_distance_is_about_zero_for_equal_distributions_and_grows() -> None:
    one = rows(200, seed=1)
    same, near, far = (checks.kernel_distance(one, rows(200, shift, 2)) for shift in (0, 0.5, 1))
    assert abs(same) < 0.2
    assert same < near < far


def test_spread_is_the_mean_distance_of_pairs() -> None:
    assert checks.spread(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3)


def test_probes_tell_what_differs_and_nothing_else() -> None:
    assert checks.told_apart(rows(100, seed=1), rows(100, 3.0, seed=2)) > 0.95
    assert checks.told_apart(rows(100, seed=1), rows(100, seed=2)) == pytest.approx(0.5, abs=0.2)
    learnt, asked = (rows(80, 1.0, 3), rows(80, 0.0, 4)), (rows(40, 1.0, 5), rows(40, 0.0, 6))
    assert checks.taught(learnt, asked) > 0.9
    assert checks.taught(learnt[::-1], asked) < 0.1


def test_a_crop_is_the_same_in_another_place_and_at_another_brightness() -> None:
    windows, masks = torch.zeros(2, 1, 64, 64), torch.zeros(2, 1, 16, 16)
    mark = torch.rand(8, 8)
    for number, (top, left) in enumerate(((20, 24), (32, 28))):
        windows[number, 0, top : top + 8, left : left + 8] = mark * (number + 1) + 0.0
        masks[number, 0, top // 4 : top // 4 + 2, left // 4 : left // 4 + 2] = 1
    one, two = crops(windows, masks)
    assert np.allclose(one, two, atol=1e-6)
    assert len(poses(one[None])) == 8
    assert any(np.allclose(np.rot90(one.reshape(16, 16)).ravel(), pose) for pose in poses(one[None]))


def test_texture_is_taken_a_few_windows_at_a_time_and_is_that_of_each_alone() -> None:
    sizes: list[int] = []

    def watch(module: nn.Module, given: tuple[torch.Tensor]) -> None:
        if isinstance(module, CellFeatures):
            sizes.append(len(given[0]))

    sampler = WindowSampler(dark_marks(16, 1), SPEC)
    windows, masks = sampler.fractured(40, np.random.default_rng(1))
    watching = register_module_forward_pre_hook(watch)
    try:
        whole = texture(windows, masks, SPEC)
    finally:
        watching.remove()
    assert sizes == [32, 8]
    alone = [texture(windows[row : row + 1], masks[row : row + 1], SPEC) for row in range(40)]
    assert np.allclose(whole, np.concatenate(alone), atol=1e-6)


@pytest.fixture(scope="module")
def data() -> TrainData:
    return TrainData(dark_marks(24, 1), dark_marks(24, 2), SPEC)


@pytest.fixture(scope="module")
def report(data: TrainData) -> PatchReport:
    torch.manual_seed(0)
    return examine(PatchMaker(PatchGenerator(4, SPEC).eval(), data.fit, SPEC), data, 1, count=24)


def test_a_report_of_an_untaught_generator_says_so(report: PatchReport) -> None:
    assert (report.windows, report.fit, report.held_out) == (24, 12, 12)
    assert report.told_apart > 0.8
    assert report.taught_by_real > 0.9
    assert report.to_json()["limits"]


def test_a_report_is_reproducible(data: TrainData, report: PatchReport) -> None:
    torch.manual_seed(0)
    again = examine(PatchMaker(PatchGenerator(4, SPEC).eval(), data.fit, SPEC), data, 1, count=24)
    assert again == report


def test_verdicts_follow_the_figures(report: PatchReport) -> None:
    assert replace(report, near_low=0.7).memorises
    assert not replace(report, near_low=0.5).memorises
    assert replace(report, spread=0.2).collapsed
    assert not replace(report, spread=0.9).collapsed


def test_too_few_held_out_fractures_are_refused(data: TrainData) -> None:
    maker = PatchMaker(PatchGenerator(4, SPEC).eval(), data.fit, SPEC)
    with pytest.raises(StepError, match="compared"):
        examine(maker, replace(data, calibration=dark_marks(6, 2)), 1, count=8)
    ill = replace(data.calibration, labels=np.ones(24, np.float32))
    with pytest.raises(StepError, match="12, 12 and 0"):
        examine(maker, replace(data, calibration=ill), 1, count=8)


def test_the_sheet_is_a_picture_and_the_same_for_the_same_seed(data: TrainData) -> None:
    maker = PatchMaker(PatchGenerator(4, SPEC).eval(), data.fit, SPEC)
    one, again, other = (draw_patches(maker, SPEC, seed, rows=2) for seed in (1, 1, 2))
    assert one.startswith(b"\x89PNG")
    assert one == again != other
