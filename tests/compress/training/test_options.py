"""Options as a recipe writes them, and what each changes in a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compress.recipe import parse_recipe
from compress.training.loop import TrainRun, train
from compress.training.options import AverageOptions, OptimizerOptions, TrainOptions, TransferOptions
from runtime.errors import RecipeError
from tests.compress.networks import random_network, spot_data

EVERY_TABLE = """
[train]
epochs = 6
precision = "auto"
[train.augment]
elastic = 0.01
[train.optimizer]
kind = "sgd"
clip_norm = 0
[train.schedule]
kind = "one_cycle"
patience = 4
[train.average]
kind = "swa"
swa_epochs = 2
[train.transfer]
freeze = "gradual"
unfreeze_epochs = [1, 3]
unfreeze_stages = 2
layer_decay = 0.8
[train.imbalance]
method = "sampling"
balance = "label_and_stratum"
"""


def test_a_recipe_sets_every_table() -> None:
    found = parse_recipe(EVERY_TABLE, "x").train
    assert found.transfer == TransferOptions("gradual", 0, (1, 3), 2, 0.8)
    assert found.average == AverageOptions("swa", swa_epochs=2)
    assert found.optimizer == OptimizerOptions("sgd", clip_norm=0.0)
    assert (found.schedule.kind, found.schedule.patience) == ("one_cycle", 4)
    assert (found.imbalance.method, found.imbalance.balance) == ("sampling", "label_and_stratum")
    assert (found.precision, found.augment.elastic) == ("auto", 0.01)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('kind = "sgd"', 'kind = "adam"', "adamw, sgd"),
        ("swa_epochs = 2", "swa_epochs = 7", "swa_epochs"),
        ("unfreeze_epochs = [1, 3]", "unfreeze_epochs = []", "unfreeze_epochs"),
        ("patience = 4", "patience = 4\nwarmup = 3", "warmup"),
    ],
)
def test_an_impossible_value_is_refused_with_its_key(old: str, new: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        parse_recipe(EVERY_TABLE.replace(old, new), "x")


def moved_by_one_epoch(clip_norm: float, folder: Path) -> float:
    """How far the weights went."""
    network = random_network("cnn", 48, width=0.5)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])
    options = TrainOptions(epochs=1, batch_size=16, learning_rate=0.1, weight_decay=0.0)
    options = replace(options, optimizer=OptimizerOptions("sgd", clip_norm=clip_norm))
    folder.mkdir()
    train(network, spot_data(48, 24), options, TrainRun(folder, seed=1))
    after = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return float((after - before).norm())


def test_clipping_bounds_each_step_and_zero_does_not_clip(tmp_path: Path) -> None:
    # Three steps at a rate of at most 0.1, none longer than 1 / (1 - momentum) gradients.
    assert moved_by_one_epoch(1e-3, tmp_path / "short") <= 3 * 0.1 * 1e-3 * 10
    assert moved_by_one_epoch(0.0, tmp_path / "free") > 3 * 0.1 * 1e-3 * 10
