"""Averages of weights against their closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compress.training.averaging import WeightAverage, ema_decay, estimate_statistics
from compress.training.history import auroc
from compress.training.loop import TrainRun, predict, train
from compress.training.options import AverageOptions, TrainOptions
from tests.compress.networks import random_network, spot_data

OPTIONS = TrainOptions(epochs=4, batch_size=16, learning_rate=5e-3)


def test_the_moving_average_is_the_closed_form_for_weights_and_statistics() -> None:
    network = random_network("cnn", 48, width=0.5)
    average = WeightAverage(network, AverageOptions("ema", decay=0.6))
    statistics = network.features[0][1].running_mean
    values = [0.5, -1.0, 2.0, 0.25, 3.0, 1.5, -2.0]
    for value in values:
        with torch.no_grad():
            network.head.classifier.bias.fill_(value)
            statistics.fill_(value * 10)
        average.after_step()
    kept = [ema_decay(0.6, updates) for updates in range(1, len(values))]
    shares = [(1 - kept[i - 1] if i else 1.0) * np.prod(kept[i:]) for i in range(len(values))]
    assert sum(shares) == pytest.approx(1.0)
    expected = float(np.dot(shares, values))
    judged = average.judged()
    assert judged.head.classifier.bias.item() == pytest.approx(expected, abs=1e-6)
    assert judged.features[0][1].running_mean[0].item() == pytest.approx(10 * expected, abs=1e-5)


def test_the_share_that_is_kept_rises_to_the_decay() -> None:
    kept = [ema_decay(0.99, updates) for updates in range(2000)]
    assert kept == sorted(kept)
    assert kept[0] == pytest.approx(0.1)
    assert kept[-1] == 0.99


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_what_is_judged_and_kept_is_the_average_and_not_the_last_step(tmp_path: Path, kind: str) -> None:
    data, plain, averaged = spot_data(), random_network("cnn", 48), random_network("cnn", 48)
    (tmp_path / "plain").mkdir()
    options = replace(OPTIONS, average=AverageOptions(kind, decay=0.9, swa_epochs=2))
    history = train(averaged, data, options, TrainRun(tmp_path, seed=1))
    assert [epoch.averaged for epoch in history.epochs] == [kind == "ema"] * 2 + [True] * 2
    best = history.epochs[history.best - 1]
    score = auroc(predict(averaged, data.calibration), data.calibration.labels)
    assert score == pytest.approx(best.calibration_auroc)
    train(plain, data, OPTIONS, TrainRun(tmp_path / "plain", seed=1))
    assert not torch.equal(plain.head.classifier.weight, averaged.head.classifier.weight)


def test_an_average_changes_nothing_in_the_course_of_the_steps(tmp_path: Path) -> None:
    losses = []
    for kind in ("none", "ema"):
        (tmp_path / kind).mkdir()
        options = replace(OPTIONS, average=AverageOptions(kind, decay=0.9))
        history = train(random_network("cnn", 48), spot_data(), options, TrainRun(tmp_path / kind, seed=1))
        losses.append([epoch.loss for epoch in history.epochs])
    assert losses[0] == losses[1]


def test_the_mean_of_epochs_is_the_mean() -> None:
    network = random_network("cnn", 48, width=0.5)
    average = WeightAverage(network, AverageOptions("swa"))
    assert average.judged() is network
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            network.head.classifier.bias.fill_(value)
        average.after_epoch([torch.rand(4, 1, 48, 48)])
    assert average.judged().head.classifier.bias.item() == pytest.approx(3.0)


def test_estimated_statistics_are_the_mean_over_the_images_and_frozen_layers_keep_theirs() -> None:
    torch.manual_seed(0)
    own, like = (nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2)) for _ in range(2))
    own[1].running_mean.fill_(5.0)
    like[1].eval()
    batches = [torch.randn(8, 2, 4, 4) + 3, torch.randn(8, 2, 4, 4) - 1]
    estimate_statistics(own, batches, like)
    expected = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    assert torch.allclose(own[0].running_mean, expected, atol=1e-5)
    assert torch.equal(own[1].running_mean, torch.full((2,), 5.0))
    assert own[0].momentum == own[1].momentum == 0.1
    assert not own.training


@pytest.mark.parametrize("wrong", [{"kind": "mean"}, {"decay": 1.0}, {"swa_epochs": 0}, {"swa_rate": 0.0}])
def test_impossible_averages_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"kind|decay|swa"):
        AverageOptions(**wrong)  # type: ignore[arg-type]


def test_more_averaged_epochs_than_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="swa_epochs"):
        TrainOptions(epochs=2, average=AverageOptions("swa", swa_epochs=3))
