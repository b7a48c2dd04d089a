"""One teacher, or the mean of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compress.steps.train import finetune_network
from compress.training.loop import TrainRun, predict
from compress.training.options import TrainOptions
from compress.training.teachers import MeanOfNetworks, one_teacher
from tests.compress.networks import random_network, spot_data


class Constant(nn.Module):
    """Always the same logit and map."""

    def __init__(self, value: float, side: int) -> None:
        super().__init__()
        self.value, self.side = nn.Parameter(torch.tensor(value)), side

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        count = len(image)
        return self.value.expand(count, 1), self.value.expand(count, 1, self.side, self.side)


def test_logits_and_maps_are_averaged_and_maps_take_the_first_ones_size() -> None:
    logit, evidence = MeanOfNetworks([Constant(1.0, 6), Constant(3.0, 3)])(torch.zeros(2, 1, 48, 48))
    assert torch.equal(logit, torch.full((2, 1), 2.0))
    assert torch.allclose(evidence, torch.full((2, 1, 6, 6), 2.0))


def test_nobody_is_no_teacher_and_one_is_itself() -> None:
    network = Constant(1.0, 4)
    assert one_teacher(None) is one_teacher([]) is None
    assert one_teacher(network) is one_teacher([network]) is network


def test_a_student_of_several_comes_nearer_to_their_mean_and_takes_its_scale(tmp_path: Path) -> None:
    data = spot_data()
    teachers = [random_network("cnn", 48, seed, width=0.5) for seed in (0, 1)]
    student = random_network("cnn", 48, 2, width=0.5)
    mean = np.mean([predict(teacher, data.calibration) for teacher in teachers], axis=0)
    before = np.abs(predict(student, data.calibration) - mean).mean()
    options = TrainOptions(epochs=4, batch_size=16, learning_rate=5e-3, distill_weight=1.0)
    finetune_network(student, data, options, TrainRun(tmp_path, seed=1, teacher=teachers))
    after = predict(student, data.calibration)
    assert np.abs(after - mean).mean() < 0.5 * before
    assert after.mean() == pytest.approx(mean.mean(), abs=1e-3)
    assert after.std() == pytest.approx(mean.std(), rel=1e-2)


def test_without_weight_a_teacher_is_not_asked(tmp_path: Path) -> None:
    class Deaf(nn.Module):
        def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
            raise AssertionError

    from compress.training.loop import train

    options = replace(TrainOptions(epochs=1, batch_size=16), distill_weight=0.0)
    history = train(
        random_network("cnn", 48), spot_data(32, 16), options, TrainRun(tmp_path, 1, teacher=Deaf())
    )
    assert len(history.epochs) == 1
