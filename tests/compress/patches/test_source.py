"""Made windows in a training: a share of each kind, labels and masks true, nobody but fit patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.patches.networks import PatchGenerator, Wanted
from compress.patches.options import PatchOptions
from compress.patches.source import MadePatches, PatchMaker, with_patches
from compress.patches.train import GENERATOR_FILE, noise_for, train_generator
from compress.training.batches import BatchSource
from compress.training.course import plan_course
from compress.training.data import TrainData
from compress.training.loop import TrainRun, train
from compress.training.options import TrainOptions
from compress.training.processes import ALONE, Processes
from tests.compress.networks import random_network

from .marks import QUICK, SPEC, dark_marks

OPTIONS = TrainOptions(1, crop_epochs=1, batch_size=8, box_weight=0.5)
DATA = TrainData(dark_marks(16, 1), dark_marks(12, 2), SPEC)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> PatchMaker:
    run = TrainRun(tmp_path_factory.mktemp("maker"), 3)
    return PatchMaker(train_generator(DATA.fit, SPEC, QUICK, run).network, DATA.fit, SPEC)


def replaced(maker: PatchMaker, share: float, rows: slice = slice(None)) -> tuple[torch.Tensor, ...]:
    windows, masks = maker.sampler.draw(20, np.random.default_rng(1))
    made = MadePatches(maker, share, "").replace_some(windows, masks, np.random.default_rng(2), rows)
    return windows, masks, made


def test_the_share_of_fractured_and_of_healthy_windows_is_made(maker: PatchMaker) -> None:
    windows, masks, made = replaced(maker, 0.5)
    marked = masks.amax(dim=(1, 2, 3)) > 0
    changed = (windows != made).flatten(1).any(dim=1)
    for kind in (marked, ~marked):
        assert int((changed & kind).sum()) == round(0.5 * int(kind.sum()))


def test_both_kinds_give_way_to_other_windows(maker: PatchMaker) -> None:
    windows, masks, made = replaced(maker, 0.9)
    same = (windows == made).flatten(1).float().mean(dim=1)
    marked = masks.amax(dim=(1, 2, 3)) > 0
    for kind in (marked, ~marked):
        assert (same[kind & (same < 1)] < 0.3).all()


def watched() -> tuple[PatchGenerator, list[tuple[torch.Tensor, Wanted]]]:
    """An untaught generator, and what it is asked from now on."""
    asked: list[tuple[torch.Tensor, Wanted]] = []
    network = PatchGenerator(4, SPEC).eval()
    network.register_forward_pre_hook(lambda _, given: asked.append(given))
    return network, asked


def test_holes_of_both_kinds_lie_on_what_is_not_dark() -> None:
    fit = dark_marks(16, 1)
    tensors = fit.tensors.copy()
    tensors[fit.labels < 0.5] = -1.0
    tensors[fit.labels < 0.5, :, 40:56, 40:56] = 0.5
    network, asked = watched()
    maker = PatchMaker(network, replace(fit, tensors=tensors), SPEC)
    windows, masks = maker.sampler.draw(60, np.random.default_rng(1))
    MadePatches(maker, 0.9, "").replace_some(windows, masks, np.random.default_rng(2), slice(None))
    below, wanted = torch.cat([part for part, _ in asked]), [part for _, part in asked]
    holes, labels = (torch.cat([getattr(part, name) for part in wanted]) for name in ("masks", "labels"))
    beneath = torch.nn.functional.interpolate(holes, scale_factor=4) > 0
    on_bone = ((below > 0) & beneath).flatten(1).any(dim=1)
    assert 0 < labels.sum() < len(labels)
    assert on_bone[labels == 1].all()
    assert on_bone[labels == 0].all()


def test_many_windows_are_filled_a_few_at_a_time_as_they_would_be_at_once() -> None:
    network, asked = watched()
    maker = PatchMaker(network, DATA.fit, SPEC)
    windows, masks = maker.sampler.fractured(70, np.random.default_rng(1))
    labels = (torch.arange(70) % 2).float()
    wanted = Wanted(masks, labels, noise_for(masks, torch.Generator().manual_seed(3)))
    filled = maker.fill_with(windows, wanted)
    assert [len(part) for part, _ in asked] == [32, 32, 6]
    with torch.no_grad():
        assert torch.allclose(filled, network(windows, wanted), atol=1e-5)


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_make_what_one_makes(maker: PatchMaker, count: int) -> None:
    windows, masks = maker.sampler.draw(20, np.random.default_rng(1))
    patches = MadePatches(maker, 0.5, "")
    whole = patches.replace_some(windows, masks, np.random.default_rng(2), slice(None))
    shares = [Processes(rank, count).share(20) for rank in range(count)]
    parts = [patches.replace_some(windows, masks, np.random.default_rng(2), share) for share in shares]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)


def test_masks_and_labels_of_a_training_are_those_without_made_windows(maker: PatchMaker) -> None:
    made = replace(DATA, patches=MadePatches(maker, 0.5, ""))
    course = plan_course(OPTIONS, len(DATA.fit))
    one, two = (
        list(BatchSource(data, OPTIONS, course, ALONE).epoch(0, torch.Generator().manual_seed(4)))
        for data in (DATA, made)
    )
    assert len(one) == len(two) > 0
    for before, after in zip(one, two, strict=True):
        assert torch.equal(before.masks, after.masks)
        assert torch.equal(before.labels, after.labels)
        untouched = (before.images == after.images).flatten(1).all(dim=1)
        assert 0 < int(untouched.sum()) < len(untouched)


def test_no_share_changes_nothing(tmp_path: Path) -> None:
    run = TrainRun(tmp_path, 1)
    assert with_patches(PatchOptions(), OPTIONS, DATA, run) == (DATA, run)
    assert not list(tmp_path.iterdir())


def test_only_fit_patients_are_learnt_from(tmp_path: Path) -> None:
    poisoned = replace(
        DATA, calibration=replace(DATA.calibration, tensors=np.full_like(DATA.calibration.tensors, np.nan))
    )
    digests = []
    for name, data in (("as they are", DATA), ("poisoned", poisoned)):
        (tmp_path / name).mkdir()
        extended, _ = with_patches(QUICK, OPTIONS, data, TrainRun(tmp_path / name, 1))
        assert extended.patches is not None
        digests.append(extended.patches.digest)
    assert digests[0] == digests[1]


def test_other_fit_patients_get_a_generator_of_their_own_in_the_same_folder(tmp_path: Path) -> None:
    found = []
    for seed in (1, 5):
        data = replace(DATA, fit=dark_marks(16, seed))
        extended, _ = with_patches(QUICK, OPTIONS, data, TrainRun(tmp_path, 1))
        assert extended.patches is not None
        found.append(extended.patches.digest)
    assert found[0] != found[1]


def test_progress_counts_the_generator_and_then_the_batches(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run = TrainRun(tmp_path, 1, None, lambda done, total: told.append((done, total)))
    data, run = with_patches(QUICK, OPTIONS, DATA, run)
    train(random_network("cnn", 96, width=0.5), data, OPTIONS, run)
    total = QUICK.steps + plan_course(OPTIONS, len(DATA.fit)).batches
    assert told == [(number, total) for number in range(1, total + 1)]
    assert (tmp_path / GENERATOR_FILE).is_file()


def test_training_with_made_windows_is_reproducible_and_differs_from_one_without(tmp_path: Path) -> None:
    weights = []
    for name, options in (("one", QUICK), ("two", QUICK), ("none", PatchOptions())):
        (tmp_path / name).mkdir()
        data, run = with_patches(options, OPTIONS, DATA, TrainRun(tmp_path / name, 1))
        network = random_network("cnn", 96, width=0.5)
        train(network, data, OPTIONS, run)
        weights.append(torch.cat([value.flatten() for value in network.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
