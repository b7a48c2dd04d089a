"""The generator: reproducible, resumed after a kill, taught by fit patients alone, true to its condition."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.patches.options import PatchOptions
from compress.patches.source import PatchMaker
from compress.patches.train import (
    GENERATOR_FILE,
    SNAPSHOT_STEPS,
    STATE_FILE,
    TrainedGenerator,
    load_generator,
    train_generator,
)
from compress.training.loop import TrainRun
from runtime.errors import StepError

from .marks import QUICK, SPEC, dark_marks


class KilledError(Exception):
    """Stands for the power going off."""


def trained(folder: Path, options: PatchOptions = QUICK, seed: int = 3, kill_at: int = 0) -> TrainedGenerator:
    def advance(done: int, total: int) -> None:
        assert total == options.steps
        if done == kill_at:
            raise KilledError

    folder.mkdir(exist_ok=True)
    return train_generator(dark_marks(12, 1), SPEC, options, TrainRun(folder, seed, None, advance))


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = trained(tmp_path / "one").digest
    torch.manual_seed(2)
    assert trained(tmp_path / "two").digest == one
    assert trained(tmp_path / "three", seed=4).digest != one


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    options = replace(QUICK, steps=SNAPSHOT_STEPS + 6)
    whole = trained(tmp_path / "whole", options)
    with pytest.raises(KilledError):
        trained(tmp_path / "killed", options, kill_at=SNAPSHOT_STEPS + 3)
    assert (tmp_path / "killed" / STATE_FILE).is_file()
    resumed = trained(tmp_path / "killed", options)
    assert resumed.digest == whole.digest
    assert resumed.losses == whole.losses
    assert not (tmp_path / "killed" / STATE_FILE).exists()


def test_a_finished_generator_is_taken_and_one_of_other_options_is_not(tmp_path: Path) -> None:
    first = trained(tmp_path)
    assert trained(tmp_path, replace(QUICK, share=0.1), kill_at=1).digest == first.digest
    with pytest.raises(KilledError):
        trained(tmp_path, replace(QUICK, steps=5), kill_at=1)


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    trained(tmp_path, replace(QUICK, steps=1))
    assert torch.equal(torch.rand(1), expected)


def test_what_was_saved_is_loaded_and_damage_is_refused(tmp_path: Path) -> None:
    saved = trained(tmp_path, replace(QUICK, steps=1))
    path = tmp_path / GENERATOR_FILE
    loaded = load_generator(path)
    assert (loaded.digest, loaded.basis, loaded.losses) == (saved.digest, saved.basis, saved.losses)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StepError, match="generator"):
        load_generator(path)


def test_a_generator_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    made = trained(tmp_path, replace(QUICK, steps=1))
    assert pickle.loads(pickle.dumps(made)).digest == made.digest


def test_data_without_healthy_images_or_without_outlines_are_refused(tmp_path: Path) -> None:
    data, run = dark_marks(6, 1), TrainRun(tmp_path, 1)
    with pytest.raises(StepError, match="healthy"):
        train_generator(replace(data, labels=np.ones(6, np.float32)), SPEC, QUICK, run)
    with pytest.raises(StepError, match="boxes"):
        train_generator(replace(data, masks=np.zeros_like(data.masks)), SPEC, QUICK, run)


def test_after_a_short_training_label_and_place_decide_what_is_made(tmp_path: Path) -> None:
    fit = dark_marks(24, 1)
    options = PatchOptions(steps=90, batch_size=3, width=6, learning_rate=2e-3, average=0.95)
    network = train_generator(fit, SPEC, options, TrainRun(tmp_path, 5)).network
    maker, rng = PatchMaker(network, fit, SPEC), np.random.default_rng(0)
    _, masks = maker.sampler.fractured(16, rng)
    inside = torch.nn.functional.interpolate(masks, scale_factor=4) > 0
    ill, well = (maker.make(masks, label, rng) for label in (1, 0))
    darker = well.filled[inside].mean() - ill.filled[inside].mean()
    assert darker > 0.2
    far = torch.nn.functional.max_pool2d(inside.float(), 17, 1, 8) == 0
    assert torch.equal(ill.filled[far], ill.windows[far])
