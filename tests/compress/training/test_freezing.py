"""Freezing: what is frozen stays to the bit, what is not learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compress.training.freezing import freeze, frozen_count, thaw
from compress.training.loop import TrainRun, train
from compress.training.optimizer import build_optimizer, learning_rates, steer
from compress.training.options import TrainOptions, TransferOptions
from compress.zoo.base import FractureNet
from runtime.errors import StepError
from tests.compress.networks import networks_of_each_kind, random_network, spot_data

OPTIONS = TrainOptions(epochs=3, batch_size=16, learning_rate=5e-3)


def stage_states(network: FractureNet) -> list[list[Tensor]]:
    """Weights and statistics of each stage."""
    return [[value.clone() for value in _tensors(stage)] for stage in network.stages()]


def _tensors(stage: nn.Module) -> list[Tensor]:
    return [*stage.parameters(), *stage.buffers()]


def changed(before: list[list[Tensor]], after: list[list[Tensor]]) -> list[bool]:
    pairs = zip(before, after, strict=True)
    return [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]


def trained(options: TransferOptions, folder: Path, epochs: int = 3) -> tuple[list[bool], list[int]]:
    """Which stages a training changed, and how many were frozen in each epoch."""
    network = random_network("cnn", 48, width=0.5)
    before = stage_states(network)
    chosen = replace(OPTIONS, epochs=epochs, transfer=options)
    history = train(network, spot_data(48, 24), chosen, TrainRun(folder, seed=1))
    return changed(before, stage_states(network)), [epoch.frozen_stages for epoch in history.epochs]


def test_the_stages_hold_every_parameter_once_in_order_and_end_with_the_head() -> None:
    for network in networks_of_each_kind(64):
        own = [id(p) for stage in network.stages() for p in stage.parameters()]
        assert own == [id(p) for p in network.parameters()], network.options.name
        assert network.stages()[-1] is network.head
        assert all(any(True for _ in stage.parameters()) for stage in network.stages())


def test_with_the_head_alone_learning_everything_else_is_bit_identical(tmp_path: Path) -> None:
    moved, frozen = trained(TransferOptions("head"), tmp_path)
    assert moved == [False] * (len(moved) - 1) + [True]
    assert frozen == [len(moved) - 1] * 3


def test_frozen_stages_keep_weights_and_statistics_and_the_rest_learns(tmp_path: Path) -> None:
    moved, _ = trained(TransferOptions(frozen_stages=2), tmp_path)
    assert moved == [False, False] + [True] * (len(moved) - 2)


def test_gradual_unfreezing_releases_stages_from_the_head_down_and_leaves_the_others(tmp_path: Path) -> None:
    moved, frozen = trained(TransferOptions("gradual", unfreeze_epochs=(2, 3)), tmp_path, epochs=3)
    stages = len(moved)
    assert frozen == [stages - 1, stages - 2, stages - 3]
    assert moved[: stages - 3] == [False] * (stages - 3)
    assert moved[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (TransferOptions(), [0, 0, 0]),
        (TransferOptions("head"), [5, 5, 5]),
        (TransferOptions("gradual", unfreeze_epochs=(2,), unfreeze_stages=4), [5, 1, 1]),
        (TransferOptions("gradual", 2, unfreeze_epochs=(1, 3), unfreeze_stages=3), [2, 2, 2]),
        (TransferOptions("gradual", unfreeze_epochs=(1, 2, 3), unfreeze_stages=9), [0, 0, 0]),
    ],
)
def test_how_many_of_six_stages_are_frozen(options: TransferOptions, expected: list[int]) -> None:
    counts = [frozen_count(options, 6, epoch) for epoch in (1, 2, 3)]
    assert [max(0, count) for count in counts] == expected


def test_nothing_before_the_first_learning_stage_is_recorded_for_gradients() -> None:
    network = random_network("cnn", 48, width=0.5)
    count = freeze(network, TransferOptions(frozen_stages=2), epoch=1)
    features = torch.zeros(1, 1, 48, 48)
    for number, stage in enumerate(network.stages()[:-1]):
        features = stage(features)
        assert features.requires_grad == (number >= count)
    thaw(network)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_freezing_all_stages_is_refused_with_how_many_there_are(tmp_path: Path) -> None:
    network = random_network("cnn", 48, width=0.5)
    stages = len(network.stages())
    options = replace(OPTIONS, transfer=TransferOptions(frozen_stages=stages))
    with pytest.raises(StepError, match=str(stages)):
        train(network, spot_data(32, 16), options, TrainRun(tmp_path, seed=1))


def test_the_learning_rate_falls_with_the_distance_from_the_head_and_no_parameter_is_left_out() -> None:
    network = random_network("cnn", 48, width=0.5)
    optimizer = build_optimizer(network, replace(OPTIONS, transfer=TransferOptions(layer_decay=0.5)))
    steer(optimizer, 1.0, None)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    stages = network.stages()
    for distance, stage in enumerate(reversed(stages)):
        assert {rates[id(p)] for p in stage.parameters()} == {0.5**distance}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))
    assert learning_rates(optimizer) == tuple(0.5**distance for distance in range(len(stages)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"freeze": "some"},
        {"frozen_stages": -1},
        {"freeze": "gradual"},
        {"unfreeze_epochs": (2,)},
        {"freeze": "gradual", "unfreeze_epochs": (3, 2)},
        {"freeze": "gradual", "unfreeze_epochs": (0, 2)},
        {"layer_decay": 0.0},
        {"layer_decay": 1.5},
    ],
)
def test_impossible_transfer_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"freeze|frozen|layer_decay"):
        TransferOptions(**wrong)  # type: ignore[arg-type]
