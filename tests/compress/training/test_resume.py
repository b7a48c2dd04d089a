"""A killed training with every feature on ends where it would have ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from compress.training import device
from compress.training.loop import TrainRun, train
from compress.training.options import (
    AugmentOptions,
    AverageOptions,
    ImbalanceOptions,
    OptimizerOptions,
    ScheduleOptions,
    TrainOptions,
    TransferOptions,
)
from compress.training.state import STATE_FILE
from compress.zoo.base import FractureNet
from tests.compress.networks import random_network, spot_data

EVERYTHING = TrainOptions(
    epochs=4,
    crop_epochs=1,
    batch_size=16,
    learning_rate=5e-3,
    label_smoothing=0.05,
    box_weight=0.5,
    distill_weight=0.3,
    augment=AugmentOptions(shift=0.05, elastic=0.01, contrast=0.1, blur_px=1.0, sharpen=1.0, collimation=0.1),
    optimizer=OptimizerOptions("sgd"),
    schedule=ScheduleOptions("one_cycle", patience=9),
    average=AverageOptions("ema", decay=0.9),
    transfer=TransferOptions("gradual", 1, (1, 3), 3, layer_decay=0.8),
    imbalance=ImbalanceOptions("sampling"),
)


class KilledError(Exception):
    """Stands for the power going off in the middle of a batch."""


def forgetful_network() -> FractureNet:
    """With dropout, which draws for itself."""
    network = random_network("cnn", 48, width=0.5)
    network.features.append(nn.Dropout(0.2))
    return network


@pytest.mark.parametrize("batch", [15, 34])
@pytest.mark.parametrize("average", [AverageOptions("ema", decay=0.9), AverageOptions("swa", swa_epochs=3)])
def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, average: AverageOptions, batch: int
) -> None:
    data, options = spot_data(), replace(EVERYTHING, average=average)
    teacher = random_network("cnn", 48, 5, width=0.5)
    whole, resumed = forgetful_network(), forgetful_network()

    def run(name: str, kill_at: int = 0) -> TrainRun:
        def advance(done: int, total: int) -> None:
            if done == kill_at:
                raise KilledError

        (tmp_path / name).mkdir(exist_ok=True)
        return TrainRun(tmp_path / name, 3, teacher, advance)

    expected = train(whole, data, options, run("whole"))
    with pytest.raises(KilledError):
        train(forgetful_network(), data, options, run("resumed", batch))
    torch.manual_seed(99)  # whatever the new process drew before
    history = train(resumed, data, options, run("resumed"))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert [replace(epoch, seconds=0) for epoch in history.epochs] == [
        replace(epoch, seconds=0) for epoch in expected.epochs
    ]


def test_training_leaves_the_global_generator_as_it_was(tmp_path: Path) -> None:
    network = forgetful_network()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train(network, spot_data(32, 16), TrainOptions(1, batch_size=16), TrainRun(tmp_path, 1))
    assert torch.equal(torch.rand(1), expected)


def test_a_training_that_goes_on_with_another_precision_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(done: int, total: int) -> None:
        if done > total / 2:
            raise KilledError

    data, options = spot_data(32, 16), TrainOptions(2, batch_size=16, precision="auto")
    monkeypatch.setattr(device, "has_bf16", lambda _: False)
    with pytest.raises(KilledError):
        train(forgetful_network(), data, options, TrainRun(tmp_path, 1, progress=killed))
    monkeypatch.setattr(device, "has_bf16", lambda _: True)
    history = train(forgetful_network(), data, options, TrainRun(tmp_path, 1))
    assert [", bf16, " in place for place in history.trained_on] == [False, True]
    assert history.to_json()["trained_on"] == list(history.trained_on)


def test_a_training_that_an_older_version_left_goes_on_and_says_what_was_not_noted(tmp_path: Path) -> None:
    def killed(done: int, total: int) -> None:
        if done > total / 2:
            raise KilledError

    data, options = spot_data(32, 16), TrainOptions(2, batch_size=16)
    with pytest.raises(KilledError):
        train(forgetful_network(), data, options, TrainRun(tmp_path, 1, progress=killed))
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    for epoch in state["epochs"]:
        del epoch["trained_on"]
    torch.save(state, tmp_path / STATE_FILE)
    history = train(forgetful_network(), data, options, TrainRun(tmp_path, 1))
    assert len(history.epochs) == len(history.trained_on) == 2
    assert "not noted" in history.trained_on[0]
